"""A timer: one thread that calls back when deadlines pass."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

from splitnet.deadline import Deadline

logger = logging.getLogger(__name__)


class DeadlineTimer:
    """Calls functions at their deadlines from one daemon thread; callbacks must be quick."""

    def __init__(self, name: str) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call_at(self, deadline: Deadline, callback: Callable[[], None]) -> None:
        """Call `callback` once `deadline` has passed; a callback that came too late does nothing by itself."""
        with self._changed:
            heapq.heappush(self._due, (deadline.at_s, next(self._order), callback))
            if self._due[0][0] == deadline.at_s:
                self._changed.notify()

    def close(self) -> None:
        """Stop the thread; what is not due yet is dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while (callback := self._next()) is not None:
            try:
                callback()
            except Exception:
                logger.exception("a deadline callback failed")

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._closed:
                if not self._due:
                    self._changed.wait()
                elif (left := self._due[0][0] - time.monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    return heapq.heappop(self._due)[2]
            return None
