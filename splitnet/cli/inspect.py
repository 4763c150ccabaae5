"""`splitnet inspect`: what a package holds, for people or as JSON."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from splitnet.cli.console import print_json
from splitnet.cli.inspect_tables import tables, tensor_text
from splitnet.package import Package, VerificationEntry, open_package


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
    for table in tables(opened.manifest):
        if table.row_count:
            console.print(table)
    if verified is not None:
        console.print(f"[green]verified[/] {len(opened.manifest.files)} files, {verified:,} bytes")


def _print_head(console: Console, package: Package) -> None:
    manifest = package.manifest
    model, plan = manifest.model, manifest.plan
    console.print(f"[bold]{model.name}[/] version {model.version}, opset {model.opset}, plan {plan.id}")
    takes, answers = (", ".join(map(tensor_text, entries)) for entries in (model.inputs, model.outputs))
    console.print(f"takes {takes}; answers {answers}")
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
