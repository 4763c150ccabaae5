"""From built plans to a package on disk."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from splitnet.graph import WEIGHTS_FOLDER, WeightsFile, WeightStore, model_bytes, weight_bytes
from splitnet.package import (
    FORMAT_VERSION,
    Alternative,
    Content,
    ExitEntry,
    LinkEntry,
    Manifest,
    ModelEntry,
    Package,
    PlanEntry,
    SegmentEntry,
    StageEntry,
    TensorEntry,
    WeightsEntry,
    WireEntry,
    WireTensor,
    plan_id,
    write_package,
)
from splitnet.partition.analysis import Analysis
from splitnet.partition.backup import Backup
from splitnet.partition.bandwidths import PlanFrom
from splitnet.partition.measure import computing_ms, reached
from splitnet.partition.options import PartitionOptions
from splitnet.partition.segments import BuiltSegment, SentTensor
from splitnet.partition.table import Costs
from splitnet.partition.training import training_of
from splitnet.plan import Link
from splitnet.tiers import TIERS

#: Models with more weights than this are packed with their weights in files of their own, as are several plans.
INLINE_BYTES = 256 * 2**20


def pack(
    options: PartitionOptions,
    analysis: Analysis,
    costs: Costs,
    plans: Sequence[PlanFrom],
    alternatives: Sequence[Alternative],
    *,
    backup: Backup | None = None,
) -> Package:
    """Write the package.

    Args:
        options: the job.
        analysis: the model.
        costs: that the plans were made with.
        plans: the first is the default.
        alternatives: what was considered beside the first.
        backup: a small model for a device that is alone.

    Raises:
        PackageError: the output is in the way of something else, or the disk refuses.
        InvalidArgumentError: training was asked for, and the device has no exit.
        ModelError: its exit cannot be trained.
    """
    training = training_of(options, analysis, plans[0].found.plan)
    linked = len(plans) > 1 or weight_bytes(analysis.model) > INLINE_BYTES
    shelf = _Shelf(costs, WeightStore() if linked else None)
    entries = tuple(
        _plan_entry(shelf, plan, number, options, () if number > 1 else tuple(alternatives))
        for number, plan in enumerate(plans, start=1)
    )
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        model=_model_entry(options, analysis),
        segments=tuple(shelf.segments.values()),
        exits=tuple(shelf.exits),
        plans=entries,
        links=(_link_entry(costs.table.links[0]), _link_entry(costs.table.links[1])),
        training=() if training is None else (training.entry,),
        backup=None if backup is None else backup.entry,
    )
    if training is not None:
        shelf.files |= training.files
    if backup is not None:
        shelf.files[backup.entry.file] = backup.content
    return write_package(options.output, manifest, shelf.files)


@dataclass(slots=True)
class _Shelf:
    """The segments of all plans: one that several plans hold stands once."""

    costs: Costs
    store: WeightStore | None
    segments: dict[str, SegmentEntry] = field(default_factory=dict)
    exits: list[ExitEntry] = field(default_factory=list)
    files: dict[str, Content] = field(default_factory=dict)

    def place(self, segment: BuiltSegment, number: int, measured_ms: float | None) -> SegmentEntry:
        """Return the entry of a segment of the plan `number`, new or already there."""
        content, weights = (
            (model_bytes(segment.model), ()) if self.store is None else self.store.split(segment.model)
        )
        digest = hashlib.sha256(content).hexdigest()
        for entry in self.segments.values():
            if (entry.sha256, entry.tier) == (digest, segment.tier):
                return entry
        name = segment.tier if number == 1 else f"{segment.tier}-{number}"
        entry = _segment_entry(segment, name, content, weights, self._predicted_ms(segment), measured_ms)
        self.segments[name] = entry
        self.files[entry.file] = content
        self.files |= {_weights_path(file): file.parts for file in weights}
        if segment.exit is not None:
            self.exits.append(_exit_entry(segment, name))
        return entry

    def _predicted_ms(self, segment: BuiltSegment) -> float:
        """The profile's time of the segment's nodes, an exit's head included, on the machine that profiled."""
        node_ms = self.costs.times.profile.node_ms
        return sum(node_ms.get(name, 0.0) for name in segment.nodes)


def _plan_entry(
    shelf: _Shelf, plan: PlanFrom, number: int, options: PartitionOptions, alternatives: tuple[Alternative, ...]
) -> PlanEntry:
    found = plan.found
    measured = found.measured
    segments = [
        shelf.place(segment, number, measured.segment_ms[segment.tier] if measured is not None else None)
        for segment in found.plan.segments
    ]
    wires = tuple(_wire_entry(index, wire, shelf.costs) for index, wire in enumerate(found.plan.wires))
    placement = found.solution.placement
    return PlanEntry(
        id=plan_id(
            segments, wires, [entry for entry in shelf.exits if entry.segment in {one.id for one in segments}]
        ),
        segments=tuple(entry.id for entry in segments),
        wires=wires,
        stages=_stages(plan, shelf.costs),
        objective=options.objective,
        value=placement.value,
        bound=found.solution.bound,
        gap=found.solution.gap,
        method=found.solution.method,
        predicted_ms=placement.latency_ms,
        measured_ms=measured.latency_ms if measured is not None else None,
        energy_mj=placement.energy_mj,
        bandwidth_from_bps=plan.bandwidth_from_bps,
        alternatives=alternatives,
        verification=found.verification,
    )


def _stages(plan: PlanFrom, costs: Costs) -> tuple[StageEntry, ...]:
    placement = plan.found.solution.placement
    computing = computing_ms(placement, costs, plan.found.measured)
    return tuple(
        StageEntry(tier=tier, reach=share, compute_ms=ms)
        for tier, share, ms in zip(TIERS, reached(placement, costs), computing, strict=False)
    )


def _link_entry(link: Link) -> LinkEntry:
    return LinkEntry(bandwidth_bps=link.bandwidth_bps, rtt_ms=link.rtt_ms)


def _model_entry(options: PartitionOptions, analysis: Analysis) -> ModelEntry:
    return ModelEntry(
        name=options.name or default_name(options.model),
        version=options.version,
        sha256=_file_digest(options.model),
        opset=analysis.model.opset_imports[""],
        inputs=tuple(TensorEntry.from_spec(spec) for spec in analysis.inputs),
        outputs=tuple(TensorEntry.from_spec(spec) for spec in analysis.outputs),
    )


def default_name(model: Path) -> str:
    """Return what a model is served as when nobody says: its file's stem, with other characters as "_"."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in model.stem).lstrip("_-")
    return name[:128] or "model"


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _segment_entry(
    segment: BuiltSegment,
    name: str,
    content: bytes,
    weights: Sequence[WeightsFile],
    predicted_ms: float,
    measured_ms: float | None,
) -> SegmentEntry:
    return SegmentEntry(
        id=name,
        tier=segment.tier,
        file=f"segments/{name}.onnx",
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        weights=tuple(
            WeightsEntry(file=_weights_path(file), sha256=file.sha256, size_bytes=file.size_bytes)
            for file in weights
        ),
        inputs=tuple(TensorEntry.from_spec(spec) for spec in segment.inputs),
        outputs=tuple(TensorEntry.from_spec(spec) for spec in segment.outputs),
        opset_domains=segment.opset_domains,
        param_bytes=segment.param_bytes,
        predicted_ms=predicted_ms,
        measured_ms=measured_ms,
    )


def _weights_path(file: WeightsFile) -> str:
    return f"segments/{WEIGHTS_FOLDER}/{file.name}"


def _exit_entry(segment: BuiltSegment, name: str) -> ExitEntry:
    head = segment.exit
    assert head is not None
    assert head.threshold is not None
    return ExitEntry(
        segment=name,
        outputs=head.outputs,
        confidence=head.confidence,
        threshold=head.threshold,
        calibration=head.calibration,
    )


def _wire_entry(index: int, wire: Sequence[SentTensor], costs: Costs) -> WireEntry:
    return WireEntry(
        from_tier=TIERS[index],
        to_tier=TIERS[index + 1],
        tensors=tuple(
            WireTensor(
                **TensorEntry.from_spec(spec).model_dump(),
                source=one.codec.tensor.name,
                codec=one.codec.name,
                coding=one.coding,
                batch_axis=spec.batch_axis,
                bytes_per_sample=spec.sample_nbytes,
                coded_bytes_per_sample=_coded_nbytes(one, costs),
            )
            for one in wire
            for spec in one.codec.wires
        ),
    )


def _coded_nbytes(sent: SentTensor, costs: Costs) -> float | None:
    """The measured mean of a coded tensor; codings are only offered to codecs of one wire tensor."""
    if sent.coding == "none":
        return None
    return costs.nbytes(sent.codec.tensor.name, sent.way.name)
