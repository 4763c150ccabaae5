"""Whether the pieces of a manifest agree with one another."""

import itertools
from collections.abc import Iterator, Sequence

from splitnet.package.agree_training import training_disagreements
from splitnet.package.entries import FileEntry, TensorEntry
from splitnet.package.manifest import ExitEntry, Manifest, SegmentEntry
from splitnet.package.plans import PlanEntry
from splitnet.package.wires import WireEntry
from splitnet.tensors import BATCH
from splitnet.tiers import TIERS


def disagreements(manifest: Manifest) -> list[str]:
    """Return one sentence for each contradiction between the pieces of a manifest."""
    return [
        *_duplicates(manifest),
        *_files(manifest),
        *(
            f"plans[{index}]{wrong}"
            for index, plan in enumerate(manifest.plans)
            for check in (_plan_names, _wire_order, _stages, _dataflow)
            for wrong in check(manifest, plan)
        ),
        *_exits(manifest),
        *_backup(manifest),
        *training_disagreements(manifest),
    ]


def _duplicates(manifest: Manifest) -> Iterator[str]:
    seen: dict[str, Sequence[object]] = {
        "segments: id": [segment.id for segment in manifest.segments],
        "segments: file": [segment.file for segment in manifest.segments],
        "plans: id": [plan.id for plan in manifest.plans],
        "plans: bandwidth_from_bps": [plan.bandwidth_from_bps for plan in manifest.plans],
    }
    for field, values in seen.items():
        for value in {value for value in values if values.count(value) > 1}:
            yield f"{field} {value!r} stands twice"


def _files(manifest: Manifest) -> Iterator[str]:
    """One path is one file: segments may share weights, but only as the same ones."""
    segments = {segment.file for segment in manifest.segments}
    known: dict[str, FileEntry] = {}
    for segment in manifest.segments:
        for entry in segment.weights:
            where = f"segment {segment.id!r}: weights {entry.file!r}"
            if entry.file in segments:
                yield f"{where} are a segment's file"
            if known.setdefault(entry.file, entry) != entry:
                yield f"{where} have another size or digest than in a segment before"


def _plan_names(manifest: Manifest, plan: PlanEntry) -> Iterator[str]:
    known = {segment.id: segment for segment in manifest.segments}
    for name in plan.segments:
        if name not in known:
            yield f".segments: {name!r} is not a segment; there are {sorted(known)}"
    tiers = [known[name].tier for name in plan.segments if name in known]
    if tiers != sorted(set(tiers), key=TIERS.index):
        yield f".segments: tiers {tiers} are not in the order device, edge, cloud, each at most once"


def _wire_order(_manifest: Manifest, plan: PlanEntry) -> Iterator[str]:
    for index, wire in enumerate(plan.wires):
        if (wire.from_tier, wire.to_tier) != (TIERS[index], TIERS[index + 1]):
            yield (
                f".wires[{index}]: goes from {wire.from_tier} to {wire.to_tier}; "
                f"expected {TIERS[index]} to {TIERS[index + 1]}"
            )


def _stages(_manifest: Manifest, plan: PlanEntry) -> Iterator[str]:
    """One stage a tier, and nobody gets further up than to the tier below."""
    expected = list(TIERS[: len(plan.wires) + 1])
    if (tiers := [stage.tier for stage in plan.stages]) != expected:
        yield f".stages: are of {tiers}; expected {expected}"
    reaches = [1.0, *(stage.reach for stage in plan.stages)]
    if any(later > before for before, later in itertools.pairwise(reaches)):
        yield f".stages: reach grows on the way up: {reaches[1:]}"


def _dataflow(manifest: Manifest, plan: PlanEntry) -> Iterator[str]:
    """Follow the tensors upwards: each segment's inputs and each wire must be there where they are used."""
    at_hand = {entry.name: entry for entry in manifest.model.inputs}
    made: dict[str, TensorEntry] = {}
    for tier in TIERS:
        segment = manifest.segment_of(tier, plan)
        if segment is not None:
            yield from _missing(segment.inputs, at_hand, f": segment {segment.id!r}: input")
            own = {entry.name: entry for entry in segment.outputs}
            made |= own
            at_hand = at_hand | own
        wire: WireEntry | None = plan.wire_from(tier)
        if wire is None:
            break
        yield from _missing(wire.tensors, at_hand, f": wire {wire.from_tier}-{wire.to_tier}: tensor")
        at_hand = {tensor.name: tensor for tensor in wire.tensors}
    yield from _missing(manifest.model.outputs, made, ": model.outputs:")


def _missing(wanted: tuple[TensorEntry, ...], at_hand: dict[str, TensorEntry], where: str) -> Iterator[str]:
    for entry in wanted:
        there = at_hand.get(entry.name)
        if there is None:
            yield f"{where} {entry.name!r} is made by nothing below it; at hand are {sorted(at_hand)}"
        elif _kind(there) != _kind(entry):
            yield f"{where} {entry.name!r} is {_kind(entry)} but is made as {_kind(there)}"


def _backup(manifest: Manifest) -> Iterator[str]:
    """It takes some of what the model takes, and answers all that the model answers."""
    backup = manifest.backup
    if backup is None:
        return
    taken = {entry.name: entry for entry in manifest.model.inputs}
    yield from _missing(backup.inputs, taken, "backup: input")
    yield from _missing(manifest.model.outputs, {entry.name: entry for entry in backup.outputs}, "backup: answer")
    others = manifest.model_copy(update={"backup": None})
    if backup.file in others.files:
        yield f"backup: file {backup.file!r} is another's"


def _exits(manifest: Manifest) -> Iterator[str]:
    segments = {segment.id: segment for segment in manifest.segments}
    for index, entry in enumerate(manifest.exits):
        segment = segments.get(entry.segment)
        if segment is None:
            yield f"exits[{index}].segment: {entry.segment!r} is not a segment"
        else:
            yield from _exit_tensors(index, entry, segment, manifest)
    named = [entry.segment for entry in manifest.exits]
    for name in {name for name in named if named.count(name) > 1}:
        yield f"exits: segment {name!r} has more than one exit"


def _exit_tensors(index: int, entry: ExitEntry, segment: SegmentEntry, manifest: Manifest) -> Iterator[str]:
    made = {tensor.name: tensor for tensor in segment.outputs}
    answers = {tensor.name: tensor for tensor in manifest.model.outputs}
    if entry.outputs.keys() != answers.keys():
        yield f"exits[{index}].outputs: answers {sorted(entry.outputs)}, but the model answers {sorted(answers)}"
    for tensor in (entry.confidence, *entry.outputs.values()):
        if tensor not in made:
            yield f"exits[{index}]: tensor {tensor!r} is not an output of segment {segment.id!r}"
    for answer, tensor in entry.outputs.items():
        if answer in answers and tensor in made and _kind(made[tensor]) != _kind(answers[answer]):
            yield (
                f"exits[{index}].outputs: {tensor!r} is {_kind(made[tensor])} "
                f"but stands for {answer!r}, which is {_kind(answers[answer])}"
            )
    confidence = made.get(entry.confidence)
    batched = any(BATCH in tensor.shape for tensor in manifest.model.inputs)
    if confidence is not None and not _is_confidence(confidence, batched=batched):
        yield (
            f"exits[{index}].confidence: {entry.confidence!r} is {_kind(confidence)}; "
            "expected one floating-point number a sample"
        )


def _is_confidence(entry: TensorEntry, *, batched: bool) -> bool:
    one_a_sample = (BATCH in entry.shape) == batched and all(size in (BATCH, 1) for size in entry.shape)
    return one_a_sample and entry.dtype.startswith("float")


def _kind(entry: TensorEntry) -> str:
    return f"{entry.dtype}{list(entry.shape)}"
