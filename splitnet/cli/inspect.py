"""`splitnet inspect`: what a package holds, as readable tables."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from splitnet.cli.console import print_json
from splitnet.package import (
    Manifest,
    Package,
    PlanEntry,
    SegmentEntry,
    TensorEntry,
    VerificationEntry,
    WireTensor,
    open_package,
)

#: Unit of what each objective is measured in.
_UNITS = {"latency": "ms", "throughput": "ms", "energy": "mJ", "bytes": "bytes"}


def inspect(
    package: Annotated[Path, typer.Argument(metavar="OUT.split", help="Directory of the package.")],
    *,
    check: Annotated[bool, typer.Option("--check", help="Verify the size and SHA-256 of every file.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the manifest as one JSON object.")] = False,
) -> None:
    """Show a package's model, segments, exits, plans and what of it learns."""
    opened = open_package(package)
    verified = opened.check() if check else None
    if json_output:
        fields = opened.manifest.model_dump(mode="json")
        print_json(fields if verified is None else fields | {"verified_bytes": verified})
        return
    console = Console(highlight=False)
    _print_head(console, opened)
    for table in _tables(opened.manifest):
        if table.row_count:
            console.print(table)
    if verified is not None:
        console.print(f"[green]verified[/] {len(opened.manifest.files)} files, {verified:,} bytes")


def _print_head(console: Console, package: Package) -> None:
    manifest = package.manifest
    model, plan = manifest.model, manifest.plan
    console.print(f"[bold]{model.name}[/] version {model.version}, opset {model.opset}, plan {plan.id}")
    console.print(f"takes {_tensors(model.inputs)}, answers {_tensors(model.outputs)}")
    if (backup := manifest.backup) is not None:
        right = "" if backup.accuracy is None else f", right on {backup.accuracy:.1%} of the calibration samples"
        console.print(f"backup model {escape(backup.file)}, {backup.size_bytes / 1024:.1f} KiB{right}")
    for each in manifest.plans:
        checked = each.verification
        name = f"plan {each.id} " if len(manifest.plans) > 1 else ""
        console.print(
            f"{name}verified against {_reference(checked)}: {checked.level}, max abs {checked.max_abs:.3g}, "
            f"max rel {checked.max_rel:.3g}, {checked.samples} samples"
        )


def _reference(checked: VerificationEntry) -> str:
    return "the whole model" if checked.against_version is None else f"version {checked.against_version}"


def _tables(manifest: Manifest) -> list[Table]:
    tables = [_segments(manifest), _exits(manifest), _training(manifest)]
    if len(manifest.plans) > 1:
        tables.append(_plans(manifest))
    for plan in manifest.plans:
        suffix = f" of plan {plan.id}" if len(manifest.plans) > 1 else ""
        tables += [_wires(plan, f"wires{suffix}"), _choices(plan, f"choices{suffix}, for {plan.objective}")]
    return tables


def _segments(manifest: Manifest) -> Table:
    table = Table("segment", "file", "KiB", "takes", "makes", "predicted ms", "measured ms", title="segments")
    for segment in manifest.segments:
        table.add_row(
            escape(segment.id),
            escape(segment.file),
            _size(segment),
            _tensors(segment.inputs),
            _tensors(segment.outputs),
            f"{segment.predicted_ms:.3f}",
            _number(segment.measured_ms, 3),
        )
    return table


def _size(segment: SegmentEntry) -> str:
    own = f"{segment.size_bytes / 1024:.1f}"
    if not segment.weights:
        return own
    beside = sum(entry.size_bytes for entry in segment.weights) / 1024
    return f"{own}\n+ {beside:.1f} in {len(segment.weights)} files"


def _exits(manifest: Manifest) -> Table:
    table = Table("segment", "confidence", "threshold", "risk", "leave", title="exits")
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
    table = Table("segment", "learns", "answers", "parameters", "steps", title="training")
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
    columns = ("plan", "segments", "from Mbit/s", "value", "predicted ms", "measured ms", "stages")
    table = Table(*columns, title="plans")
    for plan in manifest.plans:
        table.add_row(
            plan.id,
            escape(", ".join(plan.segments)),
            f"{plan.bandwidth_from_bps / 1e6:g}",
            f"{plan.value:,.2f} {_UNITS[plan.objective]}",
            f"{plan.predicted_ms:.2f}",
            _number(plan.measured_ms, 2),
            _stages(plan),
        )
    return table


def _stages(plan: PlanEntry) -> str:
    """What each tier computes of a sample, who gets there, and what is sent to it."""
    sent = {wire.to_tier: f" {wire.sample_bytes:,.0f} bytes," for wire in plan.wires}
    return "\n".join(
        f"{stage.tier}:{sent.get(stage.tier, '')} {stage.compute_ms:.2f} ms for {stage.reach:.1%}"
        for stage in plan.stages
    )


def _wires(plan: PlanEntry, title: str) -> Table:
    table = Table("from", "to", "tensor", "codec", "coding", "bytes a sample", title=title)
    for wire in plan.wires:
        for tensor in wire.tensors:
            table.add_row(
                wire.from_tier, wire.to_tier, _tensors((tensor,)), tensor.codec, tensor.coding, _sent(tensor)
            )
    return table


def _sent(tensor: WireTensor) -> str:
    if tensor.coded_bytes_per_sample is None:
        return f"{tensor.bytes_per_sample:,}"
    return f"{tensor.coded_bytes_per_sample:,.0f} of {tensor.bytes_per_sample:,}"


def _choices(plan: PlanEntry, title: str) -> Table:
    table = Table("choice", "predicted ms", "measured ms", "bytes a sample", "mJ", "accuracy", title=title)
    table.add_row(
        "[bold]this plan[/]",
        f"{plan.predicted_ms:.2f}",
        _number(plan.measured_ms, 2),
        "",
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


def _tensors(entries: tuple[TensorEntry, ...]) -> str:
    """Names, types and shapes, one a line; square brackets would otherwise be read as markup."""
    return escape(
        "\n".join(f"{entry.name} {entry.dtype}{list(entry.shape)}".replace("'", "") for entry in entries)
    )
