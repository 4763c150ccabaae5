"""A circuit breaker: a tier that accepts requests and does not answer them is left alone."""

import math
import threading
import time
from collections.abc import Callable

from splitnet.telemetry import BreakerState

#: Deadlines that pass tell of an upstream that is silent for so long; one caller's short ones tell of that caller.
SILENT_S = 0.2


class Breaker:
    """Counts failures in a row of one upstream.

    Closed, every request passes. After `failures` in a row it opens, and none does, until a new connection has
    been made, which is tried with growing pauses. Then it is half-open, and one request at a time passes: an
    answer closes it, a further failure opens it again. Michael Nygard, "Release It!", 2007.
    """

    def __init__(self, failures: int, changed: Callable[[BreakerState], None]) -> None:
        """Begin closed.

        Args:
            failures: so many in a row open it.
            changed: told of each new state.
        """
        self._most = failures
        self._changed = changed
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._silent_since_s: float | None = None
        self._tried = False
        self._state: BreakerState = "closed"

    @property
    def state(self) -> BreakerState:
        """The state that it is in."""
        return self._state

    def admit(self) -> bool:
        """Whether a request may pass now; one that passes a half-open breaker is the only one until it ends."""
        if self._state == "closed":
            return True
        with self._lock:
            passes = self.state == "closed" or (self.state == "half-open" and not self._tried)
            self._tried = self._tried or passes
            return passes

    def connected(self) -> None:
        """Note a new connection: an open breaker lets one request through."""
        with self._lock:
            self._tried = False
            self._silent_since_s = None
            self._enter("half-open" if self._state == "open" else self._state)

    def answered(self) -> None:
        """Note an answer of any kind: the upstream is alive."""
        if self._state == "closed" and not self._in_a_row:
            return
        with self._lock:
            self._in_a_row = 0
            self._silent_since_s = None
            self._enter("closed")

    def withdrawn(self) -> None:
        """Note that a request was cancelled, which says nothing of the upstream."""
        self._tried = False

    def failed(self, *, asked_s: float = -math.inf) -> bool:
        """Note a failure, and return whether it opened the breaker.

        Args:
            asked_s: of a deadline that passed, when the request was made, `time.monotonic()` seconds.
        """
        with self._lock:
            self._in_a_row += 1
            if self._silent_since_s is None:
                self._silent_since_s = asked_s
            enough = self._state == "half-open" or (self._state == "closed" and self._in_a_row >= self._most)
            opens = enough and time.monotonic() - self._silent_since_s >= SILENT_S
            if opens:
                self._enter("open")
            self._tried = False
            return opens

    def _enter(self, state: BreakerState) -> None:
        if state != self._state:
            self._state = state
            self._changed(state)
