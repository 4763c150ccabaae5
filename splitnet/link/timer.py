"""A timer: one thread that calls back when deadlines pass."""

import heapq
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from splitnet.deadline import Deadline

logger = logging.getLogger(__name__)

# Cancelled alarms stay in the heap until there are so many, and more than live ones; then they are swept out.
_SWEEP_FROM = 64

# The system takes no infinite wait, and nothing is lost by looking again.
_LONGEST_WAIT_S = 60.0


@dataclass(order=True, slots=True)
class Alarm:
    """A callback that is due at a moment; None once it is cancelled."""

    at_s: float
    order: int
    callback: Callable[[], None] | None = field(compare=False)


class DeadlineTimer:
    """Calls functions at their deadlines from one daemon thread; callbacks must be quick."""

    def __init__(self, name: str) -> None:
        self._due: list[Alarm] = []
        self._cancelled = 0
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        # When the thread looks next by itself: it is woken for what is due sooner alone. Waking costs 10 us or
        # more, and most alarms are cancelled long before they are due.
        self._looks_at_s = 0.0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call_at(self, deadline: Deadline, callback: Callable[[], None]) -> Alarm:
        """Call `callback` once `deadline` has passed, unless the alarm is cancelled before."""
        with self._changed:
            alarm = Alarm(deadline.at_s, next(self._order), callback)
            heapq.heappush(self._due, alarm)
            if alarm.at_s < self._looks_at_s:
                self._changed.notify()
            return alarm

    def cancel(self, alarm: Alarm | None) -> None:
        """Forget an alarm, if there is one; one that has gone off is left as it is."""
        with self._changed:
            if alarm is None or alarm.callback is None:
                return
            alarm.callback = None
            self._cancelled += 1
            if self._cancelled > max(_SWEEP_FROM, len(self._due) // 2):
                self._due = [each for each in self._due if each.callback is not None]
                heapq.heapify(self._due)
                self._cancelled = 0

    def close(self) -> None:
        """Stop the thread; what is not due yet is dropped."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while (callback := self._next()) is not None:
            try:
                callback()
            except Exception:
                logger.exception("a deadline callback failed")

    def _next(self) -> Callable[[], None] | None:
        """Wait for the next alarm that goes off; None when closed."""
        with self._changed:
            while not self._closed:
                now_s = time.monotonic()
                due_s = self._due[0].at_s if self._due else math.inf
                if due_s > now_s:
                    self._wait(now_s, min(due_s, now_s + _LONGEST_WAIT_S))
                else:
                    alarm = heapq.heappop(self._due)
                    callback, alarm.callback = alarm.callback, None
                    if callback is not None:
                        return callback
                    self._cancelled -= 1
            return None

    def _wait(self, now_s: float, until_s: float) -> None:
        self._looks_at_s = until_s
        self._changed.wait(until_s - now_s)
        self._looks_at_s = 0.0
