"""`splitnet partition`: cut a model for a site."""

import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer

from splitnet.cli.console import print_json, prints_to_stderr, progress_bar
from splitnet.cli.partition_result import check_report, print_result, save_report
from splitnet.cli.values import axis_size
from splitnet.errors import InvalidArgumentError
from splitnet.telemetry import start_logging
from splitnet.tiers import TIERS, Tier

_Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="An ONNX file, a .pt2 program, or package.module:factory for a torch module."
    ),
]
_Output = Annotated[Path, typer.Option("--output", "-o", metavar="OUT.split", help="The package to write.")]
_Deployment = Annotated[
    Path | None, typer.Option(metavar="site.toml", help="Machines and links; a documented default otherwise.")
]
_Calibration = Annotated[
    Path | None, typer.Option(metavar="FILE.npz", help="Samples of the model's inputs, with optional labels.")
]
_Profile = Annotated[
    list[str] | None,
    typer.Option(metavar="TIER=FILE", help="A profile of this model from that tier's own machine; repeatable."),
]
_Objective = Annotated[
    Literal["latency", "throughput", "energy", "bytes"], typer.Option(help="What the plan is best at.")
]
_Cut = Annotated[
    list[str] | None,
    typer.Option(metavar="TENSOR[,TENSOR...]", help="Cut by hand here; once or twice, the device's cut first."),
]
_Codec = Annotated[
    Literal["auto", "none", "f16", "u8", "u8c", "u4", "topk", "bits", "byte"],
    typer.Option(help="How boundary tensors are sent; auto chooses for each."),
]
_Coding = Annotated[
    Literal["auto", "none"], typer.Option(help="Entropy coding on top, where it pays; none for foreign servers.")
]
_Bottleneck = Annotated[
    int | None,
    typer.Option(
        min=2, metavar="REDUCTION", help="Consider learned bottlenecks that send 1/REDUCTION of the values."
    ),
]
_Drop = Annotated[
    float, typer.Option("--max-accuracy-drop", min=0, max=1, help="Share of samples that codecs may cost.")
]
_Keep = Annotated[
    list[str] | None,
    typer.Option("--keep-on-device", metavar="TENSOR", help="A tensor that may not leave the device; repeatable."),
]
_Exits = Annotated[Literal["auto", "none"], typer.Option(help="Whether early exits may be used.")]
_Trainable = Annotated[
    Literal["none", "exits", "segment"],
    typer.Option(help="What of the device's segment can learn there: its exit's own layers, or all below it too."),
]
_Place = Annotated[
    Literal["auto", "split", "all-device", "all-edge", "all-cloud"],
    typer.Option(help="Which placements to choose from."),
]
_Plans = Annotated[
    int, typer.Option(min=1, max=16, help="Up to so many plans, for other bandwidths of the device's link.")
]
_Backup = Annotated[
    Path | None,
    typer.Option(metavar="SMALL.onnx", help="A small model for a device that has no exit and reaches nobody."),
]
_Report = Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write a report to look at.")]
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
    profile: _Profile = None,
    objective: _Objective = "latency",
    cut: _Cut = None,
    codec: _Codec = "auto",
    coding: _Coding = "auto",
    bottleneck: _Bottleneck = None,
    max_accuracy_drop: _Drop = 0.005,
    keep_on_device: _Keep = None,
    exits: _Exits = "auto",
    trainable: _Trainable = "none",
    place: _Place = "auto",
    plans: _Plans = 1,
    backup: _Backup = None,
    report: _Report = None,
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
        from splitnet.partition.reference import measure_gflops
        from splitnet.partition.source import open_source
    except ModuleNotFoundError as err:
        raise InvalidArgumentError(
            f"`splitnet partition` needs {err.name}: install SplitNet with the extra, splitnet[partition]"
        ) from err
    if report is not None:
        check_report(report)
    with tempfile.TemporaryDirectory(prefix="splitnet-export-") as folder:
        options = PartitionOptions(
            model=open_source(model, workdir=Path(folder)),
            output=output,
            site=load_site(deployment, measure_gflops) if deployment is not None else default_site(),
            name=name,
            version=version,
            calibration=calibration,
            objective=objective,
            codec=codec,
            coding=coding,
            bottleneck=bottleneck,
            max_accuracy_drop=max_accuracy_drop,
            keep_on_device=tuple(keep_on_device or ()),
            use_exits=exits == "auto",
            trainable=trainable,
            cuts=tuple(tuple(tensor.strip() for tensor in tensors.split(",")) for tensors in cut or ()),
            place=place,
            plans=plans,
            backup=backup,
            profiles=dict(_profile(text) for text in profile or ()),
            axis_sizes=dict(axis_size(text) for text in dim or ()),
            epsilon=epsilon,
            seed=seed,
        )
        with prints_to_stderr(), progress_bar() as progress:
            task = progress.add_task("start", total=1.0)
            result = run(options, lambda step, share: progress.update(task, description=step, completed=share))
        if report is not None:
            save_report(result, report)
    if json_output:
        print_json(result.to_json())
    else:
        print_result(result, compared=place == "auto" and not cut)


def _profile(text: str) -> tuple[Tier, Path]:
    tier, equals, path = text.partition("=")
    for known in TIERS:
        if equals and path and tier == known:
            return known, Path(path)
    raise InvalidArgumentError(f"--profile {text!r}: expected TIER=FILE, such as device=profile.json")
