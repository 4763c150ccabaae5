"""How long a run takes."""

import math
import time
from statistics import median

from splitnet.errors import InvalidArgumentError
from splitnet.onnx_session import OnnxSession
from splitnet.tensors import Tensors

#: Fewer runs than this make no median.
MIN_RUNS = 3


def run_ms(session: OnnxSession, feeds: Tensors) -> float:
    """Run once and return the time that this thread computed, in ms (raises what `OnnxSession.run` raises).

    A session computes on the thread that calls it. On a machine that is busy with other things the wall time has
    waiting for a core in it: with three programs on two cores it was twice as long, and different from run to run.
    """
    start_ns = time.thread_time_ns()
    session.run(feeds)
    return (time.thread_time_ns() - start_ns) / 1e6


def check_seconds(seconds: float) -> None:
    """Raise InvalidArgumentError unless `seconds` is finite and above zero."""
    if not (math.isfinite(seconds) and seconds > 0):
        raise InvalidArgumentError(f"seconds: expected a time above zero, got {seconds!r}")


def median_ms(session: OnnxSession, feeds: Tensors, seconds: float) -> float:
    """Return the median of `run_ms` over runs for about `seconds`, after one to warm up; at least three runs.

    Raises:
        InvalidArgumentError: the feeds do not fit the model, or `seconds` is not above zero.
    """
    check_seconds(seconds)
    run_ms(session, feeds)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < MIN_RUNS or time.perf_counter() < end:
        times.append(run_ms(session, feeds))
    return median(times)
