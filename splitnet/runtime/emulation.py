"""Emulating a slower machine: a sleep for the rest of what work would have taken there."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def slowed(speed: float | None) -> Iterator[None]:
    """Let what this thread computes within take as long as at the fraction `speed` of this machine's speed.

    Args:
        speed: above 0, at most 1; None changes nothing.
    """
    start = time.thread_time()
    yield
    if speed is not None:
        time.sleep((time.thread_time() - start) * (1.0 / speed - 1.0))
