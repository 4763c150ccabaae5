"""How near the three-process pipeline, many requests in flight, comes to what its stages allow on this machine."""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from benchmarks.harness import (
    Figure,
    Options,
    example_package,
    example_tiles,
    load_segments,
    median,
    ratio,
    read_options,
    rounds,
    show,
    three_tiers,
    timed_ms,
)
from splitnet.runtime import Answer, Segment
from splitnet.tensors import Tensors
from splitnet_device import Session

_IN_FLIGHT = 16
#: Tiles in one request.
_BATCHES = (1, 32)
_TURN_S = 0.75


def main() -> None:
    """Measure each batch size, segments and pipeline in turns, and print."""
    options = read_options(__doc__, seconds=30.0)
    figures = [figure for batch in _BATCHES for figure in _measure(batch, options)]
    show(f"pipeline throughput, {_IN_FLIGHT} requests in flight", figures, options)


def _measure(batch: int, options: Options) -> list[Figure]:
    cores = len(os.sched_getaffinity(0))
    rates, bounds, slowest = [], [], []  # tiles a second, one entry a round
    with tempfile.TemporaryDirectory() as folder:
        package = example_package(Path(folder))
        tiles = example_tiles(package).take(range(batch))
        stages = list(_stages(load_segments(package), tiles))
        with three_tiers(package) as (session, _):
            _rate(session, tiles, seconds=_TURN_S)
            for _ in rounds(options.seconds / len(_BATCHES)):
                stages_ms = _stage_times_ms(stages, seconds=_TURN_S)
                rates.append(batch * _rate(session, tiles, seconds=_TURN_S))
                slowest.append(1e3 * batch / max(stages_ms))
                bounds.append(1e3 * batch / max(*stages_ms, sum(stages_ms) / cores))
    name = f"batch {batch}"
    return [
        Figure(f"{name}: pipeline, tiles/s", median(rates)),
        Figure(f"{name}: slowest stage alone, tiles/s", median(slowest)),
        Figure(f"{name}: pipeline / slowest stage", ratio(rates, slowest)),
        Figure(f"{name}: pipeline / bound on {cores} cores", ratio(rates, bounds), ">= 0.85"),
    ]


def _stages(segments: Sequence[Segment], tensors: Tensors) -> Iterator[Callable[[], object]]:
    """Yield a call for each segment that runs it on what the one below sends."""
    for segment in segments:
        yield partial(segment.run, tensors)
        tensors = segment.run(tensors)


def _stage_times_ms(calls: Sequence[Callable[[], object]], *, seconds: float) -> list[float]:
    """Return each segment's median time, run in turns."""
    taken: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for call, times in zip(calls, taken, strict=True):
            times.append(timed_ms(call))
    return [median(times) for times in taken]


def _rate(session: Session, tensors: Tensors, *, seconds: float) -> float:
    """Keep `_IN_FLIGHT` requests under way and return the answers a second, without filling and draining."""
    slots = threading.Semaphore(_IN_FLIGHT)
    ends_s: list[float] = []
    errors: list[BaseException | None] = []

    def ended(answered: "Future[Answer]") -> None:
        ends_s.append(time.perf_counter())
        errors.append(answered.exception())
        slots.release()

    stop_s = time.perf_counter() + seconds
    while time.perf_counter() < stop_s:
        slots.acquire()
        session.submit(tensors).add_done_callback(ended)
    for _ in range(_IN_FLIGHT):
        slots.acquire()
    assert not any(errors), f"a request failed: {next(filter(None, errors))}"
    full = [end_s for end_s in ends_s[_IN_FLIGHT:] if end_s < stop_s]
    return (len(full) - 1) / (full[-1] - full[0])


if __name__ == "__main__":
    main()
