"""Requests a second at a cloud that computes them together, against one that does not: 1, 8 and 64 clients.

Each client has a stream of its own and one request under way. Two models, both whole in the cloud: the example,
whose convolutions gain little from larger batches, and dense layers, whose weights one batch reads once.
"""

import itertools
import queue
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.cpu import cpu_s
from benchmarks.harness import (
    SEED,
    Figure,
    SendUp,
    demand,
    example_tiles,
    median,
    open_link,
    ratio,
    read_options,
    rounds,
    show,
)
from benchmarks.in_flight import rate
from benchmarks.overload import slow_package
from splitnet.config import parse_address
from splitnet.cost import default_site
from splitnet.emulate.lab import TierProcess
from splitnet.package import Package, open_package
from splitnet.partition import PartitionOptions, partition
from splitnet.protocol import InferResponse
from splitnet.tensors import Tensors

_CLIENTS = (1, 8, 64)
_SAMPLES = {"off": 1, "on": 32}
_TURN_S = 1.0


@dataclass(frozen=True, slots=True)
class Subject:
    """A model that is asked.

    Attributes:
        name: as it is shown.
        package: all of it in the cloud.
        tensors: one sample.
    """

    name: str
    package: Package
    tensors: Tensors


@dataclass(frozen=True, slots=True)
class Taken:
    """What was measured, one entry a round: requests a second, and the cloud's CPU time, ms a request."""

    per_s: list[float]
    cpu_ms: list[float]


@dataclass(frozen=True, slots=True)
class Cloud:
    """A cloud and those who ask it."""

    pid: int
    clients: Sequence[SendUp]

    def turn(self, count: int, tensors: Tensors) -> tuple[float, float]:
        """Let `count` clients ask, and return requests a second and the cloud's CPU time, ms a request."""
        free: queue.SimpleQueue[SendUp] = queue.SimpleQueue()
        for client in self.clients[:count]:
            free.put(client)
        asked = itertools.count()

        def start() -> "Future[InferResponse]":
            next(asked)
            client = free.get_nowait()
            future = client(tensors)
            future.add_done_callback(lambda _: free.put(client))
            return future

        used_s = cpu_s(self.pid)
        per_s = rate(start, in_flight=count, seconds=_TURN_S)
        return per_s, 1e3 * (cpu_s(self.pid) - used_s) / next(asked)


def main() -> None:
    """Measure off and on in turns, and print."""
    options = read_options(__doc__, seconds=60.0)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subjects = (_example(folder), _dense(folder))
        for subject in subjects:
            figures += _measure(subject, folder, options.seconds / len(subjects))
    show("batching at a cloud", figures, options)


def _measure(subject: Subject, folder: Path, seconds: float) -> list[Figure]:
    with ExitStack() as stack:
        clouds = {mode: stack.enter_context(_cloud(subject, folder, most)) for mode, most in _SAMPLES.items()}
        taken = {(count, mode): Taken([], []) for count in _CLIENTS for mode in _SAMPLES}
        for at in rounds(seconds):
            for (count, mode), into in taken.items():
                per_s, cpu_ms = clouds[mode].turn(count, subject.tensors)
                if at:  # the first round is cold
                    into.per_s.append(per_s)
                    into.cpu_ms.append(cpu_ms)
    return [figure for count in _CLIENTS for figure in _figures(f"{subject.name}, {count} clients", count, taken)]


def _figures(name: str, count: int, taken: dict[tuple[int, str], Taken]) -> Iterator[Figure]:
    off, on = (taken[count, mode] for mode in _SAMPLES)
    demand(on.per_s, f"{name}: not one round")
    for mode, one in (("off", off), ("on", on)):
        yield Figure(f"{name}, batching {mode}: requests/s", median(one.per_s), best=max(one.per_s))
        yield Figure(f"{name}, batching {mode}: CPU of the cloud, ms a request", median(one.cpu_ms))
    yield Figure(f"{name}: requests/s, on / off", ratio(on.per_s, off.per_s))
    yield Figure(f"{name}: CPU, on / off", ratio(on.cpu_ms, off.cpu_ms))


@contextmanager
def _cloud(subject: Subject, folder: Path, most: int) -> Iterator[Cloud]:
    """Run a cloud that computes up to `most` samples together, and connect the clients."""
    settings = folder / f"{most}.toml"
    settings.write_text(
        f"[batching]\nmax_samples = {most}\n[quota]\nstreams = {max(_CLIENTS)}\n", encoding="utf-8"
    )
    with ExitStack() as stack:
        arguments = ["--config", str(settings)]
        process = stack.enter_context(TierProcess("cloud", subject.package.path, arguments))
        address = parse_address(process.address)
        clients = [stack.enter_context(open_link(subject.package, address)) for _ in range(max(_CLIENTS))]
        yield Cloud(process.pid, clients)


def _example(folder: Path) -> Subject:
    model = Path(__file__).parents[1] / "examples" / "pcb_inspection" / "model.onnx"
    options = PartitionOptions(
        model,
        folder / "example.split",
        default_site(),
        name="pcb",
        place="all-cloud",
        codec="none",
        use_exits=False,
        profile_s=0.1,
        seed=SEED,
    )
    package = partition(options).package
    return Subject("example", package, example_tiles(package).take([0]))


def _dense(folder: Path) -> Subject:
    package = open_package(slow_package(folder))
    (entry,) = package.manifest.model.inputs
    shape = [size if isinstance(size, int) else 1 for size in entry.shape]
    x = np.random.default_rng(SEED).standard_normal(shape, dtype=np.float32)
    return Subject("dense layers", package, {entry.name: x})


if __name__ == "__main__":
    main()
