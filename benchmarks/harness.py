"""What the benchmarks share: options, interleaved timing, medians, and the packages that they run."""

import argparse
import json
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from onnx import TensorProto, helper
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from splitnet.config import LinkConfig, format_address, parse_address
from splitnet.cost import default_site
from splitnet.deadline import Deadline
from splitnet.emulate import LinkShape, ShapedLink
from splitnet.emulate.lab import TierProcess
from splitnet.link import Upstreams
from splitnet.package import Package
from splitnet.partition import PartitionOptions, partition
from splitnet.protocol import InferRequest, InferResponse
from splitnet.runtime import Segment
from splitnet.runtime.allocator import keep_memory
from splitnet.samples import Samples, read_samples
from splitnet.tensors import Tensors
from splitnet.tier.parameters import request_parameters
from splitnet_device import Session

SEED = 0
MAX_MESSAGE_BYTES = 64 * 2**20
KILOBYTE = 1024
#: Far beyond any answer here: nothing is to be answered by a fallback.
DEADLINE_MS = 30_000.0

#: Options of an edge that is measured: the same sample twice is to be computed twice.
UNCACHED = ("--no-cache",)

#: What is timed, by name.
Calls = Mapping[str, Callable[[], object]]

_EXAMPLE = Path(__file__).parents[1] / "examples" / "pcb_inspection"


@dataclass(frozen=True, slots=True)
class Options:
    """The command line: how long to measure, and whether to print one JSON object."""

    seconds: float
    json_output: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """One result.

    Attributes:
        name: what was measured.
        value: the median, over calls or rounds.
        goal: as people read it, "<= 0.40" or ">= 0.85"; "" where there is none.
        best: of the quietest round, where the machine's noise matters; None elsewhere.
    """

    name: str
    value: float
    goal: str = ""
    best: float | None = None

    @property
    def met(self) -> str:
        """Whether the goal is met: "yes", "best" where by the quietest round only, "no"; "" without a goal."""
        if not self.goal:
            return ""
        if self._holds(self.value):
            return "yes"
        return "best" if self.best is not None and self._holds(self.best) else "no"

    def _holds(self, value: float) -> bool:
        sign, bound = self.goal.split()
        return value <= float(bound) if sign == "<=" else value >= float(bound)


def read_options(description: str | None, *, seconds: float) -> Options:
    """Read the command line and set up the process (see `begin`)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seconds", type=float, default=seconds, metavar="N", help="measure for so long")
    parser.add_argument("--json", action="store_true", dest="json_output", help="print one JSON object")
    values = parser.parse_args()
    if not 0.1 <= values.seconds <= 600:
        parser.error("--seconds: expected 0.1 to 600")
    begin()
    return Options(values.seconds, values.json_output)


def begin() -> None:
    """Let SIGTERM end the program in order, and keep memory as the tiers do: this process is one end of a link."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    keep_memory()


def show(title: str, figures: Sequence[Figure], options: Options) -> None:
    """Print the figures as a table, or as a JSON list."""
    if options.json_output:
        print(json.dumps([asdict(figure) | {"met": figure.met} for figure in figures]))
        return
    print_figures(title, figures)


def print_figures(title: str, figures: Iterable[Figure]) -> None:
    """Print the figures as a table."""
    table = Table("figure", "median", "best round", "goal", "met", title=title)
    for figure in figures:
        best = "" if figure.best is None else f"{figure.best:,.3f}"
        table.add_row(figure.name, f"{figure.value:,.3f}", best, figure.goal, figure.met)
    Console().print(table)


def demand(enough: object, what: str) -> None:
    """End with a word on what to do where too little was measured."""
    if not enough:
        raise SystemExit(f"{what}: measure longer (--seconds)")


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the median ratio of what was measured in the same round."""
    return median([one / other for one, other in zip(above, below, strict=True)])


def round_medians(values: Sequence[float], block: int) -> list[float]:
    """Return the median of every turn of `block` calls."""
    return [median(values[at : at + block]) for at in range(0, len(values), block)]


def timed_ms(call: Callable[[], object]) -> float:
    """Call once and return how long that took, milliseconds."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def interleave(calls: Calls, *, seconds: float, block: int) -> dict[str, list[float]]:
    """Time `calls` in turns of `block` calls each for about `seconds`, after one turn that does not count.

    The machine's noise then falls on all of them alike; who begins changes from round to round.

    Returns:
        Milliseconds of each call, by name.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(block):
            call()
    order = list(calls)
    for _ in rounds(seconds):
        for name in order:
            taken[name] += [timed_ms(calls[name]) for _ in range(block)]
        order = order[1:] + order[:1]
    return taken


def rounds(seconds: float) -> Iterator[int]:
    """Count rounds until `seconds` have passed, with a progress bar on a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("measure", total=seconds)
        start, count = time.perf_counter(), 0
        while (passed := time.perf_counter() - start) < seconds:
            progress.update(task, completed=passed)
            yield count
            count += 1


def example_package(folder: Path) -> Package:
    """Cut the example after its first two stages, u8 on both wires, exits off: every tile crosses three tiers."""
    options = PartitionOptions(
        model=_EXAMPLE / "model.onnx",
        output=folder / "example.split",
        site=default_site(),
        name="pcb",
        calibration=_EXAMPLE / "calibration.npz",
        codec="u8",
        use_exits=False,
        cuts=(("boundary1",), ("boundary2",)),
        profile_s=0.2,
        seed=SEED,
    )
    return partition(options).package


def example_tiles(package: Package) -> Samples:
    """Return the example's test tiles."""
    specs = tuple(entry.to_spec() for entry in package.manifest.model.inputs)
    return read_samples(_EXAMPLE / "tiles" / "test.npz", specs)


def load_segments(package: Package) -> list[Segment]:
    """Load the package's segments into this process, lowest tier first."""
    return [Segment(package.read_segment(entry), name=entry.id) for entry in package.manifest.segments]


def run_segments(segments: Sequence[Segment], tensors: Tensors) -> Tensors:
    """Run the segments one after the other in this process."""
    for segment in segments:
        tensors = segment.run(tensors)
    return tensors


@contextmanager
def three_tiers(
    package: Package,
    *,
    watched: bool = False,
    **device: Any,  # noqa: ANN401  (as the session's own options)
) -> Iterator[tuple[Session, Sequence[ShapedLink]]]:
    """Run the example's edge and cloud as processes; this process is the device.

    The edge keeps no answers: what is measured here is asked again and again.

    Args:
        package: what all three run.
        watched: count the bytes on both links, through a proxy each.
        **device: options of the device's session.

    Yields:
        The device's session, and the proxies from the device up.
    """
    with ExitStack() as stack:
        links: list[ShapedLink] = []
        above: str | None = None
        for tier in ("cloud", "edge"):
            arguments = ["--upstream", above, *UNCACHED] if above is not None else []
            process = stack.enter_context(TierProcess(tier, package.path, arguments))
            above = process.address
            if watched:
                link = stack.enter_context(ShapedLink(parse_address(above), LinkShape()))
                links.insert(0, link)
                above = format_address(link.address)
        session = stack.enter_context(Session(package.path, upstream=above, deadline_ms=DEADLINE_MS, **device))
        yield session, links


def identity_package(folder: Path, size_bytes: int) -> Package:
    """Package a model that answers `y` with its input `x`, uint8 [batch, size_bytes], all of it in the cloud."""
    path = folder / f"identity_{size_bytes}.onnx"
    x, y = (helper.make_tensor_value_info(name, TensorProto.UINT8, ["batch", size_bytes]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    output = folder / f"identity_{size_bytes}.split"
    options = PartitionOptions(path, output, default_site(), name="identity", place="all-cloud", codec="none")
    return partition(options).package


def random_bytes(size_bytes: int) -> Tensors:
    """Return the input of `identity_package`."""
    rng = np.random.default_rng(SEED)
    return {"x": rng.integers(0, 256, (1, size_bytes), dtype=np.uint8)}


#: Sends tensors up a link, as the tier below does, and promises the answer.
SendUp = Callable[[Tensors], "Future[InferResponse]"]
#: Made anew for each connection.
Credentials = Callable[[], grpc.ChannelCredentials]


@contextmanager
def open_link(
    package: Package, address: tuple[str, int], *, window: int = 4, credentials: Credentials | None = None
) -> Iterator[SendUp]:
    """Open a link to the cloud of `package`, plaintext without `credentials`."""
    model, plan = package.manifest.model, package.manifest.plan.id
    link = Upstreams(
        [address],
        max_message_bytes=MAX_MESSAGE_BYTES,
        window=window,
        settings=LinkConfig(),
        credentials=credentials,
    )

    def send(tensors: Tensors) -> "Future[InferResponse]":
        deadline = Deadline.after_ms(DEADLINE_MS)
        parameters = request_parameters(plan, deadline)
        return link.infer(
            InferRequest(f"{model.name}.cloud", tensors, str(model.version), parameters=parameters), deadline
        )

    with closing(link):
        link.wait_until_known(DEADLINE_MS / 1e3)
        yield send


@contextmanager
def open_hop(
    package: Package, address: tuple[str, int], tensors: Tensors, *, credentials: Credentials | None = None
) -> Iterator[Callable[[], InferResponse]]:
    """Yield a call that sends `tensors` to an Identity up one link and waits for the answer."""
    with open_link(package, address, credentials=credentials) as send:

        def round_trip() -> InferResponse:
            return send(tensors).result()

        assert np.array_equal(round_trip().tensors["y"], tensors["x"])
        yield round_trip
