"""From built segments to a package on disk."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from splitnet.codec import TensorCodec
from splitnet.cost import median_ms
from splitnet.onnx_session import OnnxSession
from splitnet.package import (
    FORMAT_VERSION,
    Alternative,
    ExitEntry,
    Manifest,
    ModelEntry,
    Package,
    PlanEntry,
    SegmentEntry,
    TensorEntry,
    VerificationEntry,
    WireEntry,
    WireTensor,
    write_package,
)
from splitnet.partition.analysis import Analysis
from splitnet.partition.costs import Costs
from splitnet.partition.options import PartitionOptions
from splitnet.partition.segments import BuiltPlan, BuiltSegment
from splitnet.plan import Placement, Problem
from splitnet.tensors import Tensors
from splitnet.tiers import TIERS

# Each segment is timed for so long; the figure is a record, nothing is decided by it.
_TIMING_S = 0.2


def pack(
    options: PartitionOptions,
    analysis: Analysis,
    costs: Costs,
    placement: Placement,
    plan: BuiltPlan,
    verification: VerificationEntry,
    alternatives: Sequence[Alternative],
) -> Package:
    """Write the package.

    Raises:
        PackageError: the output is in the way of something else, or the disk refuses.
    """
    measured = _measure(analysis, plan)
    predicted = predicted_ms(costs.problem, placement)
    segments = tuple(
        _segment_entry(segment, predicted[segment.tier], measured[segment.tier]) for segment in plan.segments
    )
    wires = tuple(_wire_entry(index, wire) for index, wire in enumerate(plan.wires))
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        model=_model_entry(options, analysis),
        segments=segments,
        exits=tuple(_exit_entry(segment) for segment in plan.segments if segment.exit is not None),
        plans=(
            PlanEntry(
                id=_plan_id(segments, wires),
                segments=tuple(segment.id for segment in segments),
                wires=wires,
                objective="latency",
                value=placement.predicted_ms,
                bound=placement.predicted_ms,
                alternatives=tuple(alternatives),
            ),
        ),
        verification=verification,
    )
    files = {entry.file: segment.content for entry, segment in zip(segments, plan.segments, strict=True)}
    return write_package(options.output, manifest, files)


def predicted_ms(problem: Problem, placement: Placement) -> dict[str, float]:
    """Return the profile's time of each tier's segment on this machine, its exit's head included, ms."""
    starts = [0, *(position for position, _ in placement.wires)]
    heads = [*placement.exits, None]
    predicted = {}
    for tier, start, depth, head in zip(TIERS, starts, placement.depths, heads, strict=False):
        head_ms = problem.exits[head].cost_ms if head is not None else 0.0
        predicted[str(tier)] = sum(problem.cost_ms[start:depth]) + head_ms
    return predicted


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


def _segment_entry(segment: BuiltSegment, predicted_ms: float, measured_ms: float) -> SegmentEntry:
    return SegmentEntry(
        id=segment.tier,
        tier=segment.tier,
        file=f"segments/{segment.tier}.onnx",
        sha256=hashlib.sha256(segment.content).hexdigest(),
        size_bytes=len(segment.content),
        inputs=tuple(TensorEntry.from_spec(spec) for spec in segment.inputs),
        outputs=tuple(TensorEntry.from_spec(spec) for spec in segment.outputs),
        opset_domains=segment.opset_domains,
        param_bytes=segment.param_bytes,
        predicted_ms=predicted_ms,
        measured_ms=measured_ms,
    )


def _exit_entry(segment: BuiltSegment) -> ExitEntry:
    head = segment.exit
    assert head is not None
    assert head.threshold is not None
    return ExitEntry(
        segment=segment.tier,
        outputs=head.outputs,
        confidence=head.confidence,
        threshold=head.threshold,
        calibration=head.calibration,
    )


def _wire_entry(index: int, wire: Sequence[TensorCodec]) -> WireEntry:
    return WireEntry(
        from_tier=TIERS[index],
        to_tier=TIERS[index + 1],
        tensors=tuple(
            WireTensor(
                **TensorEntry.from_spec(codec.wire).model_dump(),
                codec=codec.name,
                batch_axis=codec.wire.batch_axis,
                bytes_per_sample=codec.wire.sample_nbytes,
            )
            for codec in wire
        ),
    )


def _plan_id(segments: Sequence[SegmentEntry], wires: Sequence[WireEntry]) -> str:
    """Name a plan by what it runs and sends, so that tiers with different deployments notice."""
    content = [[segment.id, segment.sha256] for segment in segments], [wire.model_dump() for wire in wires]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _measure(analysis: Analysis, plan: BuiltPlan) -> dict[str, float]:
    """Time each segment on this machine, on what the segments below it make of one sample."""
    values: Tensors = dict(analysis.samples.take([0]))
    measured: dict[str, float] = {}
    for segment in plan.segments:
        session = OnnxSession(segment.content, name=f"segment {segment.tier!r}")
        measured[segment.tier] = median_ms(session, values, _TIMING_S)
        values |= session.run(values)
    return measured
