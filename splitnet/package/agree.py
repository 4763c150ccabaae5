"""Whether the pieces of a manifest agree with one another."""

from collections.abc import Iterator

from splitnet.package.manifest import ExitEntry, Manifest, SegmentEntry, TensorEntry, WireEntry
from splitnet.tensors import BATCH
from splitnet.tiers import TIERS


def disagreements(manifest: Manifest) -> list[str]:
    """Return one sentence for each contradiction between segments, wires, exits and the plan."""
    return [
        *_duplicates(manifest),
        *_plan_names(manifest),
        *_wire_order(manifest),
        *_dataflow(manifest),
        *_exits(manifest),
    ]


def _duplicates(manifest: Manifest) -> Iterator[str]:
    for field in ("id", "file"):
        seen = [getattr(segment, field) for segment in manifest.segments]
        for value in {value for value in seen if seen.count(value) > 1}:
            yield f"segments: {field} {value!r} stands twice"


def _plan_names(manifest: Manifest) -> Iterator[str]:
    known = {segment.id: segment for segment in manifest.segments}
    for name in manifest.plan.segments:
        if name not in known:
            yield f"plans[0].segments: {name!r} is not a segment; there are {sorted(known)}"
    tiers = [known[name].tier for name in manifest.plan.segments if name in known]
    if tiers != sorted(set(tiers), key=TIERS.index):
        yield f"plans[0].segments: tiers {tiers} are not in the order device, edge, cloud, each at most once"


def _wire_order(manifest: Manifest) -> Iterator[str]:
    for index, wire in enumerate(manifest.plan.wires):
        if (wire.from_tier, wire.to_tier) != (TIERS[index], TIERS[index + 1]):
            yield (
                f"plans[0].wires[{index}]: goes from {wire.from_tier} to {wire.to_tier}; "
                f"expected {TIERS[index]} to {TIERS[index + 1]}"
            )


def _dataflow(manifest: Manifest) -> Iterator[str]:
    """Follow the tensors upwards: each segment's inputs and each wire must be there where they are used."""
    at_hand = {entry.name: entry for entry in manifest.model.inputs}
    made: dict[str, TensorEntry] = {}
    for tier in TIERS:
        segment = manifest.segment_of(tier)
        if segment is not None:
            yield from _missing(segment.inputs, at_hand, f"segment {segment.id!r}: input")
            own = {entry.name: entry for entry in segment.outputs}
            made |= own
            at_hand = at_hand | own
        wire: WireEntry | None = manifest.plan.wire_from(tier)
        if wire is None:
            break
        yield from _missing(wire.tensors, at_hand, f"wire {wire.from_tier}-{wire.to_tier}: tensor")
        at_hand = {tensor.name: tensor for tensor in wire.tensors}
    yield from _missing(manifest.model.outputs, made, "model.outputs:")


def _missing(wanted: tuple[TensorEntry, ...], at_hand: dict[str, TensorEntry], where: str) -> Iterator[str]:
    for entry in wanted:
        there = at_hand.get(entry.name)
        if there is None:
            yield f"{where} {entry.name!r} is made by nothing below it; at hand are {sorted(at_hand)}"
        elif _kind(there) != _kind(entry):
            yield f"{where} {entry.name!r} is {_kind(entry)} but is made as {_kind(there)}"


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
