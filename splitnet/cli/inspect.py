"""`splitnet inspect`: what a package holds, as a readable table."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from splitnet.cli.console import print_json
from splitnet.package import Manifest, Package, TensorEntry, open_package


def inspect(
    package: Annotated[Path, typer.Argument(metavar="OUT.split", help="Directory of the package.")],
    *,
    check: Annotated[bool, typer.Option("--check", help="Verify the size and SHA-256 of every file.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the manifest as one JSON object.")] = False,
) -> None:
    """Show a package's model, segments, wires, exits and plan."""
    opened = open_package(package)
    verified = opened.check() if check else None
    if json_output:
        fields = opened.manifest.model_dump(mode="json")
        print_json(fields if verified is None else fields | {"verified_bytes": verified})
        return
    console = Console(highlight=False)
    _print_head(console, opened)
    for table in (_segments(opened.manifest), _wires(opened.manifest), _exits(opened.manifest)):
        if table.row_count:
            console.print(table)
    console.print(_alternatives(opened.manifest))
    if verified is not None:
        console.print(f"[green]verified[/] {len(opened.manifest.segments)} files, {verified:,} bytes")


def _print_head(console: Console, package: Package) -> None:
    manifest = package.manifest
    model, plan, checked = manifest.model, manifest.plan, manifest.verification
    console.print(f"[bold]{model.name}[/] version {model.version}, opset {model.opset}, plan {plan.id}")
    console.print(f"takes {_tensors(model.inputs)}, answers {_tensors(model.outputs)}")
    console.print(
        f"verified against the whole model: {checked.level}, max abs {checked.max_abs:.3g}, "
        f"max rel {checked.max_rel:.3g}, {checked.samples} samples"
    )


def _segments(manifest: Manifest) -> Table:
    table = Table("tier", "file", "KiB", "takes", "makes", "predicted ms", "measured ms", title="segments")
    for segment in manifest.segments:
        table.add_row(
            segment.tier,
            segment.file,
            f"{segment.size_bytes / 1024:.1f}",
            _tensors(segment.inputs),
            _tensors(segment.outputs),
            f"{segment.predicted_ms:.3f}",
            f"{segment.measured_ms:.3f}",
        )
    return table


def _wires(manifest: Manifest) -> Table:
    table = Table("from", "to", "tensor", "codec", "bytes a sample", title="wires")
    for wire in manifest.plan.wires:
        for tensor in wire.tensors:
            table.add_row(
                wire.from_tier, wire.to_tier, _tensors((tensor,)), tensor.codec, f"{tensor.bytes_per_sample:,}"
            )
    return table


def _exits(manifest: Manifest) -> Table:
    table = Table("segment", "confidence", "threshold", "risk", "leave", title="exits")
    for entry in manifest.exits:
        calibration = entry.calibration
        risk = "not calibrated"
        share = ""
        if calibration is not None:
            risk = f"≤ {calibration.epsilon:.2%}, {1 - calibration.delta:.0%} sure, n = {calibration.n}"
            share = f"{calibration.share:.1%}"
        table.add_row(entry.segment, entry.confidence, f"{entry.threshold:.5f}", risk, share)
    return table


def _alternatives(manifest: Manifest) -> Table:
    table = Table("choice", "predicted ms", "bytes a sample", title=f"plan, for {manifest.plan.objective}")
    table.add_row("[bold]this package[/]", f"{manifest.plan.value:.2f}", "")
    for choice in manifest.plan.alternatives:
        table.add_row(choice.name, f"{choice.predicted_ms:.2f}", f"{choice.bytes:,.0f}")
    return table


def _tensors(entries: tuple[TensorEntry, ...]) -> str:
    """Names, types and shapes, one a line; square brackets would otherwise be read as markup."""
    return escape(
        "\n".join(f"{entry.name} {entry.dtype}{list(entry.shape)}".replace("'", "") for entry in entries)
    )
