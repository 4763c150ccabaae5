"""The tables of `splitnet inspect`: at 80 columns nothing is cut off, and only long names are folded."""

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from splitnet.package import Manifest, PlanEntry, SegmentEntry, TensorEntry, WireTensor

#: Unit of what each objective is measured in.
_UNITS = {"latency": "ms", "throughput": "ms", "energy": "mJ", "bytes": "bytes"}
_TIMES = ("predicted\nms", "measured\nms")


def tables(manifest: Manifest) -> Iterator[Table]:
    """Yield what a manifest holds; a table without rows where it holds none of something."""
    yield _segments(manifest)
    yield _tensors(manifest)
    yield _exits(manifest)
    yield _training(manifest)
    several = len(manifest.plans) > 1
    if several:
        yield _plans(manifest)
        yield _stages(manifest)
    for plan in manifest.plans:
        suffix = f" of plan {plan.id}" if several else ""
        yield _wires(plan, f"wires{suffix}")
        yield _choices(plan, f"choices{suffix}, for {plan.objective}")


def tensor_text(entry: TensorEntry) -> str:
    """Name, type and shape; square brackets would otherwise be read as markup."""
    return escape(f"{entry.name} {entry.dtype}{list(entry.shape)}".replace("'", ""))


def _table(title: str, *headers: str) -> Table:
    """A table whose headers stand on two lines where figures are narrower than they, and whose cells fold."""
    table = Table(title=title)
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def _segments(manifest: Manifest) -> Table:
    table = _table("segments", "segment", "file", "KiB\n+ in files", *_TIMES)
    for segment in manifest.segments:
        table.add_row(
            escape(segment.id),
            escape(segment.file),
            _size(segment),
            f"{segment.predicted_ms:.3f}",
            _number(segment.measured_ms, 3),
        )
    return table


def _size(segment: SegmentEntry) -> str:
    """Size of the segment's own file, and of the files of weights beside it."""
    own = f"{segment.size_bytes / 1024:.1f}"
    if not segment.weights:
        return own
    beside = sum(entry.size_bytes for entry in segment.weights) / 1024
    return f"{own}\n+ {beside:.1f} in {len(segment.weights)}"


def _tensors(manifest: Manifest) -> Table:
    table = _table("tensors of segments", "segment", "", "tensor")
    for segment in manifest.segments:
        for verb, entries in (("takes", segment.inputs), ("makes", segment.outputs)):
            for entry in entries:
                table.add_row(escape(segment.id), verb, tensor_text(entry))
    return table


def _exits(manifest: Manifest) -> Table:
    table = _table("exits", "segment", "confidence", "threshold", "risk", "leave")
    for entry in manifest.exits:
        calibration = entry.calibration
        risk = "not calibrated"
        share = ""
        if calibration is not None:
            risk = f"≤ {calibration.epsilon:.2%}, {100 * (1 - calibration.delta):.3g}% sure, n = {calibration.n}"
            share = f"{calibration.share:.1%}"
        table.add_row(escape(entry.segment), escape(entry.confidence), f"{entry.threshold:.5f}", risk, share)
    return table


def _training(manifest: Manifest) -> Table:
    table = _table("training", "segment", "learns", "answers", "parameters", "steps")
    for entry in manifest.training:
        table.add_row(
            escape(entry.segment),
            entry.scope,
            escape(f"{entry.output}, {entry.classes} classes, {entry.scores}"),
            f"{entry.parameter_count:,} in {len(entry.parameters)}",
            ", ".join(step.optimiser for step in entry.steps),
        )
    return table


def _plans(manifest: Manifest) -> Table:
    table = _table("plans", "plan", "segments", "from\nMbit/s", "value", *_TIMES)
    for plan in manifest.plans:
        table.add_row(
            plan.id,
            escape(", ".join(plan.segments)),
            f"{plan.bandwidth_from_bps / 1e6:g}",
            f"{plan.value:,.2f} {_UNITS[plan.objective]}",
            f"{plan.predicted_ms:.2f}",
            _number(plan.measured_ms, 2),
        )
    return table


def _stages(manifest: Manifest) -> Table:
    """What each tier of each plan computes of a sample, who gets there, and what is sent to it."""
    table = _table("stages of plans", "plan", "tier", "reached\nby", "bytes\nsent to it", "compute\nms")
    for plan in manifest.plans:
        sent = {wire.to_tier: f"{wire.sample_bytes:,.0f}" for wire in plan.wires}
        for stage in plan.stages:
            reach, compute = f"{stage.reach:.1%}", f"{stage.compute_ms:.2f}"
            table.add_row(plan.id, stage.tier, reach, sent.get(stage.tier, ""), compute)
    return table


def _wires(plan: PlanEntry, title: str) -> Table:
    table = _table(title, "from", "to", "tensor", "codec", "coding", "bytes\na sample")
    for wire in plan.wires:
        for tensor in wire.tensors:
            cells = (tensor_text(tensor), tensor.codec, tensor.coding, _sent(tensor))
            table.add_row(wire.from_tier, wire.to_tier, *cells)
    return table


def _sent(tensor: WireTensor) -> str:
    if tensor.coded_bytes_per_sample is None:
        return f"{tensor.bytes_per_sample:,}"
    return f"{tensor.coded_bytes_per_sample:,.0f} of {tensor.bytes_per_sample:,}"


def _choices(plan: PlanEntry, title: str) -> Table:
    table = _table(title, "choice", *_TIMES, "bytes\na sample", "mJ", "accuracy")
    table.add_row(
        "[bold]this plan[/]",
        f"{plan.predicted_ms:.2f}",
        _number(plan.measured_ms, 2),
        f"{plan.bytes:,.0f}",
        _number(plan.energy_mj, 2),
        _number(plan.verification.accuracy, 4),
    )
    for choice in plan.alternatives:
        table.add_row(
            escape(choice.name),
            f"{choice.predicted_ms:.2f}",
            _number(choice.measured_ms, 2),
            f"{choice.bytes:,.0f}",
            _number(choice.energy_mj, 2),
            _number(choice.accuracy, 4),
        )
    return table


def _number(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:.{places}f}"
