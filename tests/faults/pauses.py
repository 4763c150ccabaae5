"""How long this machine kept a thread waiting that was due: what no program can answer for."""

import time
from collections import deque

from tests.faults.background import Background

_PERIOD_S = 0.004
# What a timer is late by on an idle machine does not count.
_USUAL_S = 0.001
# Of a minute on a machine that is always late; nobody asks for what was longer ago.
_KEPT = 15_000


class Pauses(Background):
    """A thread that sleeps for 4 ms again and again, and notes how late it is let on."""

    def __init__(self) -> None:
        super().__init__("pauses")
        self._found: deque[tuple[float, float]] = deque(maxlen=_KEPT)

    def between(self, start_s: float, end_s: float) -> float:
        """Return how long the thread was kept waiting in that time of `time.monotonic`, in all, seconds."""
        found = self._found.copy()
        return sum(max(0.0, min(end_s, until_s) - max(start_s, since_s)) for since_s, until_s in found)

    def _run(self) -> None:
        while not self._stopped.is_set():
            due_s = time.monotonic() + _PERIOD_S
            time.sleep(_PERIOD_S)
            if (now_s := time.monotonic()) - due_s > _USUAL_S:
                self._found.append((due_s, now_s))
