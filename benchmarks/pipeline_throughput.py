"""How near the three-process pipeline, many requests in flight, comes to what its segments allow on this machine.

Large requests; single tiles that the device computes and sends together; and single tiles, each its own message.
The bound is 1 / max(slowest segment, sum of segments / cores), of their CPU times on as many tiles as are computed
together.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.cpu import cpu_s
from benchmarks.harness import (
    Figure,
    Options,
    example_package,
    example_tiles,
    load_segments,
    median,
    read_options,
    rounds,
    show,
    three_tiers,
)
from benchmarks.in_flight import Start, rate
from splitnet.package import Package
from splitnet.runtime import Segment
from splitnet.tensors import Tensors

_TURN_S = 1.5
# Without, the device takes what little has come since its last run: 3 tiles, where 128 are under way.
_DELAY_MS = 10.0
_GOAL = ">= 0.85"


@dataclass(frozen=True, slots=True)
class Case:
    """A way of asking.

    Attributes:
        name: as it is shown.
        tiles: in one request.
        in_flight: requests under way.
        together: most tiles that the device computes together; for company it waits 10 ms at most.
        goal: for the rate against the bound.
    """

    name: str
    tiles: int
    in_flight: int
    together: int = 1
    goal: str = _GOAL


_CASES = (
    Case("32 tiles a request, 16 in flight", 32, 16),
    Case("1 tile a request, 128 in flight, up to 32 together", 1, 128, together=32),
    Case("1 tile a request, 16 in flight, each alone", 1, 16, goal=""),
)


def main() -> None:
    """Measure each case, segments and pipeline in turns, and print."""
    options = read_options(__doc__, seconds=45.0)
    with tempfile.TemporaryDirectory() as folder:
        package = example_package(Path(folder))
        figures = [figure for case in _CASES for figure in _measure(case, package, options)]
    show("pipeline throughput", figures, options)


def _measure(case: Case, package: Package, options: Options) -> list[Figure]:
    cores = len(os.sched_getaffinity(0))
    rates, bounds, cpu_ms = [], [], []  # tiles a second and CPU ms a tile, one entry a round
    samples, computed = example_tiles(package), max(case.tiles, case.together)
    segments = load_segments(package)
    batching = {"max_samples": case.together, "max_delay_ms": _DELAY_MS if case.together > 1 else 0.0}
    with three_tiers(package, batching=batching) as (session, _):
        ask = _Counted(partial(session.submit, samples.take(range(case.tiles))))
        rate(ask, in_flight=case.in_flight, seconds=_TURN_S)
        for _ in rounds(options.seconds / len(_CASES)):
            bounds.append(computed * _bound(segments, samples.take(range(computed)), cores))
            count, used_s = ask.count, cpu_s(os.getpid())
            rates.append(case.tiles * rate(ask, in_flight=case.in_flight, seconds=_TURN_S))
            cpu_ms.append(1e3 * (cpu_s(os.getpid()) - used_s) / (case.tiles * (ask.count - count)))
    shares = [one / other for one, other in zip(rates, bounds, strict=True)]
    return [
        Figure(f"{case.name}: tiles/s", median(rates), best=max(rates)),
        Figure(f"{case.name}: bound by the segments on {cores} cores, tiles/s", median(bounds)),
        Figure(f"{case.name}: pipeline / bound", median(shares), case.goal, best=max(shares)),
        Figure(f"{case.name}: CPU of all processes, ms a tile", median(cpu_ms), best=min(cpu_ms)),
    ]


class _Counted:
    """Starts requests and counts them."""

    def __init__(self, start: Start) -> None:
        self.count = 0
        self._start = start

    def __call__(self) -> "Future[Any]":
        self.count += 1
        return self._start()


def _bound(segments: Sequence[Segment], tensors: Tensors, cores: int) -> float:
    """Return how many runs of all segments a second are possible."""
    stages_ms = _stage_times_ms(list(_stages(segments, tensors)), seconds=_TURN_S)
    return 1e3 / max(*stages_ms, sum(stages_ms) / cores)


def _stages(segments: Sequence[Segment], tensors: Tensors) -> Iterator[Callable[[], object]]:
    """Yield a call for each segment that runs it on what the one below sends."""
    for segment in segments:
        yield partial(segment.run, tensors)
        tensors = segment.run(tensors)


def _stage_times_ms(calls: Sequence[Callable[[], object]], *, seconds: float) -> list[float]:
    """Return each segment's median CPU time, which is what it takes where nobody else is busy; run in turns."""
    taken: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for call, times in zip(calls, taken, strict=True):
            start_s = time.thread_time()
            call()
            times.append((time.thread_time() - start_s) * 1e3)
    return [median(times) for times in taken]


if __name__ == "__main__":
    main()
