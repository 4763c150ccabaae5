"""`splitnet partition`: cut a model for a site."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from splitnet.cli.console import print_json, start_logging, stderr
from splitnet.errors import InvalidArgumentError

if TYPE_CHECKING:
    from splitnet.partition import PartitionResult


_Model = Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="The trained model.")]
_Output = Annotated[Path, typer.Option("--output", "-o", metavar="OUT.split", help="The package to write.")]
_Deployment = Annotated[
    Path | None, typer.Option(metavar="site.toml", help="Machines and links; a documented default otherwise.")
]
_Calibration = Annotated[
    Path | None, typer.Option(metavar="FILE.npz", help="Samples of the model's inputs, with optional labels.")
]
_Cut = Annotated[
    list[str] | None,
    typer.Option(metavar="TENSOR[,TENSOR...]", help="Cut by hand here; once or twice, the device's cut first."),
]
_Codec = Annotated[Literal["auto", "none", "f16", "u8"], typer.Option(help="How boundary tensors are sent.")]
_Exits = Annotated[Literal["auto", "none"], typer.Option(help="Whether early exits may be used.")]
_Place = Annotated[
    Literal["auto", "split", "all-device", "all-edge", "all-cloud"],
    typer.Option(help="Which placements to choose from."),
]
_Name = Annotated[str | None, typer.Option(help="What the model is served as; the file's stem otherwise.")]
_Version = Annotated[int, typer.Option(min=1, help="The package's version.")]
_Dim = Annotated[
    list[str] | None, typer.Option(metavar="AXIS=SIZE", help="Fix an open axis other than the batch.")
]
_Epsilon = Annotated[
    float, typer.Option(min=0.0001, max=0.5, help="Share of samples that leaving early may cost.")
]
_Seed = Annotated[int, typer.Option(help="Of random inputs, where there are no calibration data.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens to standard error.")]


def partition(
    model: _Model,
    *,
    output: _Output,
    deployment: _Deployment = None,
    calibration: _Calibration = None,
    cut: _Cut = None,
    codec: _Codec = "auto",
    exits: _Exits = "auto",
    place: _Place = "auto",
    name: _Name = None,
    version: _Version = 1,
    dim: _Dim = None,
    epsilon: _Epsilon = 0.005,
    seed: _Seed = 0,
    json_output: _Json = False,
    verbose: _Verbose = False,
) -> None:
    """Cut a model into device, edge and cloud segments, or say that not splitting is faster."""
    start_logging(verbose=verbose)
    try:
        from splitnet.cost import default_site, load_site
        from splitnet.partition import PartitionOptions
        from splitnet.partition import partition as run
    except ModuleNotFoundError as err:
        raise InvalidArgumentError(
            f"`splitnet partition` needs {err.name}: install SplitNet with the extra, splitnet[partition]"
        ) from err
    options = PartitionOptions(
        model=model,
        output=output,
        site=load_site(deployment) if deployment is not None else default_site(),
        name=name,
        version=version,
        calibration=calibration,
        codec=codec,
        use_exits=exits == "auto",
        cuts=tuple(tuple(tensor.strip() for tensor in tensors.split(",")) for tensors in cut or ()),
        place=place,
        axis_sizes=dict(_axis_size(text) for text in dim or ()),
        epsilon=epsilon,
        seed=seed,
    )
    with _progress() as progress:
        task = progress.add_task("start", total=1.0)
        result = run(options, lambda step, share: progress.update(task, description=step, completed=share))
    if json_output:
        print_json(result.to_json())
    else:
        _print(result, compared=place == "auto" and not cut)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=stderr,
        disable=not stderr.is_terminal,
        transient=True,
    )


def _axis_size(text: str) -> tuple[str, int]:
    axis, equals, size = text.partition("=")
    if not equals or not axis or not size.isdecimal():
        raise InvalidArgumentError(f"--dim {text!r}: expected AXIS=SIZE, such as sequence=128")
    return axis, int(size)


def _print(result: "PartitionResult", *, compared: bool) -> None:
    console = Console(highlight=False)
    table = Table("choice", "predicted ms", "bytes a sample")
    table.add_row(
        "[bold]chosen", f"[bold]{result.placement.predicted_ms:.2f}", f"{sum(result.placement.bytes):,.0f}"
    )
    for choice in result.alternatives:
        table.add_row(choice.name, f"{choice.predicted_ms:.2f}", f"{choice.bytes:,.0f}")
    console.print(table)
    stages = "  ".join(f"{name} {ms:.2f}" for name, ms in result.placement.stages)
    console.print(f"expected time of a sample, ms: {stages}")
    for tensors, (_, codec) in zip(result.cuts, result.placement.wires, strict=True):
        console.print(f"wire: {', '.join(tensors)} as {codec}")
    if result.given_up:
        console.print(f"codecs that change too many answers: {', '.join(result.given_up)}")
    if result.changes_answers:
        console.print("[yellow]the codec changes the answers: see agreement and differences below[/]")
    if compared and not result.is_split:
        console.print("[yellow]not splitting is faster on this site: the package holds one segment[/]")
    if not result.device_answers_alone:
        console.print("[yellow]without the tiers above this device cannot answer: it has no exit[/]")
    if result.exit_shares == "recorded":
        console.print("who leaves early is taken from the model's metadata: give --calibration to measure it")
    checked = result.package.manifest.verification
    console.print(
        f"verified: {checked.level}, max abs {checked.max_abs:.3g}, max rel {checked.max_rel:.3g}, "
        f"{checked.samples} samples" + _agreement(checked.agreement)
    )
    console.print(f"wrote {result.package.path}", soft_wrap=True)


def _agreement(share: float | None) -> str:
    return "" if share is None else f", {share:.2%} of predicted classes agree"
