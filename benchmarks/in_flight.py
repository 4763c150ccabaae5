"""Rates: how many requests a second end when so many are kept under way."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from benchmarks.harness import demand

#: Starts a request.
Start = Callable[[], "Future[Any]"]


def rate(start: Start, *, in_flight: int, seconds: float) -> float:
    """Keep `in_flight` requests under way and return the ends a second, without filling and draining."""
    slots = threading.Semaphore(in_flight)
    ends_s: list[float] = []
    errors: list[BaseException | None] = []

    def ended(future: "Future[Any]") -> None:
        ends_s.append(time.perf_counter())
        errors.append(future.exception())
        slots.release()

    stop_s = time.perf_counter() + seconds
    while time.perf_counter() < stop_s:
        slots.acquire()
        start().add_done_callback(ended)
    for _ in range(in_flight):
        slots.acquire()
    assert not any(errors), f"a request failed: {next(filter(None, errors))}"
    full = [end_s for end_s in ends_s[in_flight:] if end_s < stop_s]
    demand(len(full) > 1, f"{len(ends_s)} requests ended in {seconds:.1f} s")
    return (len(full) - 1) / (full[-1] - full[0])
