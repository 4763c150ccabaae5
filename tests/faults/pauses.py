"""How long this machine kept a thread waiting that was due: what no program can answer for."""

import threading
import time
from collections import deque
from types import TracebackType
from typing import Self

_PERIOD_S = 0.004
# What a timer is late by on an idle machine does not count.
_USUAL_S = 0.001
# Of a minute on a machine that is always late; nobody asks for what was longer ago.
_KEPT = 15_000


class Pauses:
    """A thread that sleeps for 4 ms again and again, and notes how late it is let on."""

    def __init__(self) -> None:
        self._found: deque[tuple[float, float]] = deque(maxlen=_KEPT)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pauses", daemon=True)

    def between(self, start_s: float, end_s: float) -> float:
        """Return how long the thread was kept waiting in that time of `time.monotonic`, in all, seconds."""
        found = self._found.copy()
        return sum(max(0.0, min(end_s, until_s) - max(start_s, since_s)) for since_s, until_s in found)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        while not self._stopped.is_set():
            due_s = time.monotonic() + _PERIOD_S
            time.sleep(_PERIOD_S)
            if (now_s := time.monotonic()) - due_s > _USUAL_S:
                self._found.append((due_s, now_s))
