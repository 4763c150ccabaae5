"""`splitnet demo`: the example over three tiers and emulated links, beside not splitting; or a fleet learning."""

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import splitnet
from splitnet.cli.console import print_json, stderr
from splitnet.cli.demo_report import DemoResult
from splitnet.cli.ending import ended_by_sigterm
from splitnet.errors import InvalidArgumentError, NotFoundError
from splitnet.telemetry import start_logging

if TYPE_CHECKING:
    from splitnet.cli.federated_demo.report import FederatedResult
    from splitnet.emulate.comparison import Figures, Load
    from splitnet.partition import PartitionOptions

_EXAMPLE = Path(splitnet.__file__).parents[1] / "examples" / "pcb_inspection"
_CALIBRATION = _EXAMPLE / "calibration.npz"
_TEST_TILES = _EXAMPLE / "tiles" / "test.npz"
# Where the example's stages end: the demo cuts here so that all three tiers take part.
_STAGE_ENDS = (("boundary1",), ("boundary2",))
_SEED = 0
_ROUNDS = 3
#: Tiles that each unsplit choice gets: on the slow device alone, all of them would take minutes.
_BASELINE_SAMPLES = 1000
#: Tiles sent one by one for latency; few where each takes a round trip to the cloud.
_ALONE = {"split": 400, "all-device": 200, "all-edge": 200, "all-cloud": 60}
_SERVERS = {"split": ("edge", "cloud"), "all-device": (), "all-edge": ("edge",), "all-cloud": ("edge", "cloud")}


def demo(
    *,
    data: Annotated[
        Path | None, typer.Option(metavar="FILE.npz", help="Other tiles in the example's format.")
    ] = None,
    samples: Annotated[int | None, typer.Option(min=1, metavar="N", help="Send N tiles instead of all.")] = None,
    federated: Annotated[
        bool, typer.Option("--federated", help="Devices on new production lines learn together instead.")
    ] = False,
    rounds: Annotated[
        int | None, typer.Option(min=1, max=20, metavar="N", help="Federated rounds; 3 if not said.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens to standard error.")] = False,
) -> None:
    """Inspect circuit boards over a slow device, an edge and a cloud on this machine, in about a minute.

    With --federated, in one or two: six devices on lines that the model never saw learn together from what they
    had to send up, in rounds of secure sums, and go on with what they learned.
    """
    start_logging(verbose=verbose)
    if (federated and samples is not None) or (rounds is not None and not federated):
        raise InvalidArgumentError("--rounds goes with --federated, --samples without it")
    start = time.perf_counter()
    with ended_by_sigterm(), tempfile.TemporaryDirectory(prefix="splitnet-demo-") as folder:
        if federated:
            result: DemoResult | FederatedResult = _learn(Path(folder), data, rounds or _ROUNDS)
        else:
            result = _run(Path(folder), data or _TEST_TILES, samples)
    if json_output:
        print_json(result.to_json())
    else:
        result.print(seconds=time.perf_counter() - start)


def _learn(folder: Path, data: Path | None, rounds: int) -> "FederatedResult":
    try:
        from splitnet.cli.federated_demo.demo import NEW_LINES, DemoFiles, run
    except ModuleNotFoundError as err:
        raise InvalidArgumentError(
            f"`splitnet demo --federated` needs {err.name}: install SplitNet with the extra, "
            "splitnet[federated-server]"
        ) from err
    files = DemoFiles(
        folder,
        model=_example_model(),
        calibration=_CALIBRATION,
        tiles=data or _TEST_TILES,
        lines=NEW_LINES if data is None else None,
    )
    return run(files, rounds, _announce)


def _announce(step: str) -> None:
    if stderr.is_terminal:
        stderr.print(f"[bold]{step}[/]")


def _run(folder: Path, data: Path, limit: int | None) -> DemoResult:
    try:
        from splitnet.cost import default_site
        from splitnet.emulate.comparison import measure
        from splitnet.emulate.lab import LabSetup
        from splitnet.emulate.shape import LinkShape
        from splitnet.partition import partition
    except ModuleNotFoundError as err:
        raise InvalidArgumentError(
            f"`splitnet demo` needs {err.name}: install SplitNet with the extra, splitnet[partition]"
        ) from err
    site = default_site()
    links = tuple(LinkShape(link.bandwidth_bps, link.delay_ms / 1e3, link.jitter_ms / 1e3) for link in site.links)
    tiles = folder / "tiles.npz"
    count = _shuffle(data, tiles, limit)
    figures: dict[str, Figures] = {}
    predicted: dict[str, float] = {}
    for name, servers in _SERVERS.items():
        _announce(f"{name}: cut, start {len(servers) + 1} processes, send tiles")
        cut = partition(_options(folder / f"{name}.split", name))
        # The last is an unsplit choice, for which the planner considered every cut.
        predicted = {choice: found.solution.placement.latency_ms for choice, found in cut.alternatives.items()}
        setup = LabSetup(cut.package.path, servers, (links[0], links[1]), site.device.speed)
        figures[name] = measure(setup, tiles, _load(name, count))
    return DemoResult(figures, predicted, site)


def _options(output: Path, name: str) -> "PartitionOptions":
    from splitnet.cost import default_site
    from splitnet.partition import PartitionOptions

    split = name == "split"
    return PartitionOptions(
        model=_example_model(),
        output=output,
        site=default_site(),
        name="pcb",
        calibration=_CALIBRATION,
        codec="u8" if split else "auto",
        cuts=_STAGE_ENDS if split else (),
        place="auto" if split else name,  # type: ignore[arg-type]  # the names of _SERVERS are places
        profile_s=0.5,
    )


def _example_model() -> Path:
    model = _EXAMPLE / "model.onnx"
    if not model.is_file():
        raise NotFoundError(f"{model}: the example is part of a clone of the repository; run the demo from there")
    return model


def _load(name: str, count: int) -> "Load":
    from splitnet.emulate.comparison import Load

    streamed = count if name == "split" else min(count, _BASELINE_SAMPLES)
    return Load(one_by_one=min(count, _ALONE[name]), streamed=streamed)


def _shuffle(data: Path, target: Path, limit: int | None) -> int:
    """Write the tiles in a seeded order, so that the first so many are a fair sample; return their number."""
    import numpy as np

    from splitnet.graph import input_specs, load_model
    from splitnet.samples import read_samples

    samples = read_samples(data, input_specs(load_model(_EXAMPLE / "model.onnx")))
    order = np.random.default_rng(_SEED).permutation(samples.count)[:limit]
    arrays: dict[str, Any] = {name: array[order] for name, array in samples.inputs.items()}
    if samples.labels is not None:
        arrays["labels"] = samples.labels[order]
    np.savez(target, allow_pickle=False, **arrays)
    return len(order)
