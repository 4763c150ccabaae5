"""Sessions on one thread, and how long a run takes."""

import math
import time
from pathlib import Path
from statistics import median

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from splitnet.errors import InvalidArgumentError, ModelError
from splitnet.tensors import Tensors

#: Fewer runs than this make no median.
MIN_RUNS = 3

#: onnxruntime's own exceptions have no base class of their own.
_ORT_ERRORS: tuple[type[Exception], ...] = tuple(
    found for found in vars(ort_state).values() if isinstance(found, type) and issubclass(found, Exception)
)


def one_thread_options() -> ort.SessionOptions:
    """Return options for one thread that does not spin while it waits."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors; its warnings on rewritten graphs say nothing of use to a person
    return options


def open_session(model: bytes | Path, options: ort.SessionOptions) -> ort.InferenceSession:
    """Open a session on the CPU.

    Raises:
        ModelError: onnxruntime does not take the model.
    """
    try:
        return ort.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
        )
    except _ORT_ERRORS as err:
        name = f"{len(model)} bytes" if isinstance(model, bytes) else str(model)
        raise ModelError(f"model ({name}): onnxruntime cannot load it: {err}") from err


def run_ms(session: ort.InferenceSession, feeds: Tensors) -> float:
    """Run once and return the wall time in ms.

    Raises:
        InvalidArgumentError: the feeds do not fit the model.
        ModelError: the model fails.
    """
    start_ns = time.perf_counter_ns()
    try:
        session.run(None, feeds)
    except (ort_state.InvalidArgument, ValueError, TypeError, RuntimeError) as err:
        raise InvalidArgumentError(f"feeds {sorted(feeds)} do not fit the model: {err}") from err
    except _ORT_ERRORS as err:
        raise ModelError(f"the model fails when run: {err}") from err
    return (time.perf_counter_ns() - start_ns) / 1e6


def check_seconds(seconds: float) -> None:
    """Raise InvalidArgumentError unless `seconds` is finite and above zero."""
    if not (math.isfinite(seconds) and seconds > 0):
        raise InvalidArgumentError(f"seconds: expected a time above zero, got {seconds!r}")


def median_ms(session: ort.InferenceSession, feeds: Tensors, seconds: float) -> float:
    """Return the median wall time in ms of runs for about `seconds`, after one to warm up; at least three runs.

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
