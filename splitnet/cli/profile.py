"""`splitnet profile`: what a model costs here, how fast this machine is, and which machines are known."""

import itertools
import tempfile
from collections import Counter, defaultdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import filesize
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from splitnet.cli.console import print_json, print_line, progress_bar
from splitnet.cli.values import axis_size
from splitnet.errors import InvalidArgumentError
from splitnet.telemetry import start_logging
from splitnet.whole_file import write_whole

if TYPE_CHECKING:
    from splitnet.cost import MachineEntry, StoredProfile

# Operators that are shown to a person; the file has every node.
_MOST_SHOWN = 8

_Model = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL", help="An ONNX file, a .pt2 program, or package.module:factory for a torch module."
    ),
]
_Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="The profile (JSON) or machine (TOML) to write."),
]
_Machine = Annotated[bool, typer.Option("--machine", help="Measure this machine instead of a model.")]
_Machines = Annotated[bool, typer.Option("--machines", help="List the library of machines.")]
_Name = Annotated[
    str | None, typer.Option(help="What this machine is called in what is written; its host name otherwise.")
]
_Seconds = Annotated[float, typer.Option(min=0.01, max=600, help="How long to measure.")]
_Calibration = Annotated[
    Path | None, typer.Option(metavar="FILE.npz", help="Samples of the model's inputs; random values otherwise.")
]
_Dim = Annotated[
    list[str] | None, typer.Option(metavar="AXIS=SIZE", help="Fix an open axis other than the batch.")
]
_Seed = Annotated[int, typer.Option(help="Of random inputs.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def profile(
    model: _Model = None,
    *,
    output: _Output = None,
    machine: _Machine = False,
    machines: _Machines = False,
    name: _Name = None,
    seconds: _Seconds = 2.0,
    calibration: _Calibration = None,
    dim: _Dim = None,
    seed: _Seed = 0,
    json_output: _Json = False,
) -> None:
    """Measure a model, or the machine itself, for plans that are made elsewhere."""
    start_logging(verbose=False)
    if (model is not None) + machine + machines != 1:
        raise InvalidArgumentError("expected one of: a MODEL, --machine, --machines")
    if machines:
        _list(json_output=json_output)
        return
    if output is None:
        raise InvalidArgumentError("--output is missing: the file to write")
    _require_graphs()
    if model is None:
        _measure_machine(output, name, seconds, json_output=json_output)
        return
    from splitnet.cost import write_profile
    from splitnet.partition.profile import ProfileJob, profile_file
    from splitnet.partition.source import open_source

    with tempfile.TemporaryDirectory(prefix="splitnet-export-") as folder, progress_bar() as progress:
        job = ProfileJob(
            model=open_source(model, workdir=Path(folder)),
            calibration=calibration,
            axis_sizes=dict(axis_size(text) for text in dim or ()),
            seconds=seconds,
            seed=seed,
            name=name,
        )
        task = progress.add_task("profile", total=1.0)
        measured = profile_file(job, on_progress=lambda share: progress.update(task, completed=share))
    write_profile(measured, output)
    _print_profile(measured, output, json_output=json_output)


def _require_graphs() -> None:
    for package in ("onnx", "onnx_ir"):
        if find_spec(package) is None:
            raise InvalidArgumentError(
                f"`splitnet profile` needs {package}: install SplitNet with the extra, splitnet[partition]"
            )


def _print_profile(measured: "StoredProfile", output: Path, *, json_output: bool) -> None:
    spent: dict[str, float] = defaultdict(float)
    for node in measured.nodes:
        spent[node.op] += node.ms
    by_operator = dict(sorted(spent.items(), key=lambda entry: entry[1], reverse=True))
    if json_output:
        known = measured.model_dump(include={"model_sha256", "machine", "whole_ms", "basic_ms", "runs"})
        print_json({"profile": str(output), **known, "operators": by_operator})
        return
    table = Table("operator", "nodes", "ms", "share", title=f"{measured.whole_ms:.3f} ms a sample")
    nodes = Counter(node.op for node in measured.nodes)
    for op, ms in itertools.islice(by_operator.items(), _MOST_SHOWN):
        table.add_row(escape(op), str(nodes[op]), f"{ms:.3f}", f"{ms / measured.whole_ms:.1%}")
    if rest := list(by_operator)[_MOST_SHOWN:]:
        ms = sum(by_operator[op] for op in rest)
        table.add_row(
            f"{len(rest)} others", str(sum(nodes[op] for op in rest)), f"{ms:.3f}", f"{ms / measured.whole_ms:.1%}"
        )
    console = Console(highlight=False)
    console.print(table)
    found = f"{escape(str(output))}: {len(measured.nodes)} nodes, median of {measured.runs} runs"
    console.print(found, soft_wrap=True)


def _measure_machine(output: Path, name: str | None, seconds: float, *, json_output: bool) -> None:
    from splitnet.cost import machine_toml, this_machine
    from splitnet.partition.reference import measure_gflops

    hardware = this_machine()
    with progress_bar() as progress:
        task = progress.add_task("reference network", total=1.0)
        gflops = measure_gflops(seconds=seconds, on_progress=lambda share: progress.update(task, completed=share))
    section = machine_toml(hardware, gflops, name=name or hardware.name)
    write_whole(section.encode(), output)
    if json_output:
        print_json({"machine": str(output), "name": name or hardware.name, "gflops": gflops})
    else:
        print_line(section.rstrip())


def _list(*, json_output: bool) -> None:
    from splitnet.cost import library

    known = library()
    if json_output:
        print_json({name: entry.model_dump(exclude_none=True) for name, entry in known.items()})
        return
    table = Table(Column("machine", no_wrap=True), "GFLOP/s", "memory", "W", "what it is", title="library")
    for name, entry in known.items():
        table.add_row(name, *_columns(entry))
    Console(highlight=False).print(table)


def _columns(entry: "MachineEntry") -> tuple[str, ...]:
    gflops, watts = ("" if value is None else f"{value:g}" for value in (entry.gflops, entry.watts))
    memory = "" if entry.memory is None else filesize.decimal(entry.memory)
    precisions = ", ".join(entry.precisions) if entry.precisions else ""
    return gflops, memory, watts, escape(f"{entry.description} ({precisions})")
