"""Requests that are under way all the time, and what became of each."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType

from splitnet.errors import DeadlineExceededError, OverloadedError, SplitNetError
from splitnet_device import Answer, Session
from tests.faults.background import Background
from tests.faults.package import Asked

INTERVAL_S = 0.02
#: Every so many requests come this many at once.
_BURST_EVERY, _BURST = 10, 4
# However late: then the answer is lost.
_LOST_S = 30.0


@dataclass(slots=True)
class Request:
    """One request: when it was made, and each end that it came to.

    Attributes:
        sample: that was asked.
        start_s: when, of `time.monotonic`.
        ends_s: when it ended; more than one entry is a doubled answer.
        tier: who answered; "" for nobody.
        reason: why a fallback did; "" for none.
        error: what it ended with instead of an answer.
        right: whether the answer is what that tier says to that sample.
    """

    sample: int
    start_s: float
    ends_s: list[float] = field(default_factory=list)
    tier: str = ""
    reason: str = ""
    error: str = ""
    right: bool = False

    @property
    def served(self) -> bool:
        """Whether the tiers above answered as they should, none standing in."""
        return self.tier == "cloud" and not self.reason

    @property
    def complaint(self) -> str:
        """What is wrong with its end; "" where nothing is: it has one end, which is a right answer."""
        if len(self.ends_s) != 1:
            return f"{len(self.ends_s)} ends"
        return self.error or ("" if self.right else f"a wrong answer of {self.tier!r} to sample {self.sample}")

    @property
    def took_s(self) -> float:
        """Seconds to its first end."""
        return self.ends_s[0] - self.start_s


class Load(Background):
    """Asks one sample every so often, and now and then four at once, whatever the answers do."""

    def __init__(
        self,
        session: Session,
        asked: Asked,
        *,
        deadline_ms: float,
        interval_s: float = INTERVAL_S,
        first: int = 0,
        on_end: Callable[[Request], None] | None = None,
    ) -> None:
        """Take note of what to ask.

        Args:
            session: of the device.
            asked: the samples.
            deadline_ms: of each request.
            interval_s: between two of them.
            first: the sample to begin with: what was asked lately a tier may still know.
            on_end: told of each request as it ends, again if it ends twice, and then none is kept.
        """
        super().__init__("load", ends_within_s=_LOST_S)
        self.requests: list[Request] = []
        self._session = session
        self._asked = asked
        self._deadline_ms = deadline_ms
        self._interval_s = interval_s
        self._first = first
        self._on_end = on_end
        self._made = self._ended = 0
        self._changed = threading.Condition()

    @property
    def open(self) -> int:
        """Requests that have not ended."""
        return self._made - self._ended

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop asking, and wait for what is under way."""
        super().__exit__(kind, error, trace)
        with self._changed:
            self._changed.wait_for(lambda: not self.open, _LOST_S)

    def wait_until_served(self, first: int, *, times: int, timeout_s: float) -> float | None:
        """Wait until so many requests in a row were served.

        Args:
            first: the number of requests made before those that count.
            times: how many in a row.
            timeout_s: the longest wait, seconds.

        Returns:
            When the first of them was answered, of `time.monotonic`; None where none were, in that time.
        """
        with self._changed:
            self._changed.wait_for(lambda: _run_of(self.requests[first:], times) is not None, timeout_s)
            return _run_of(self.requests[first:], times)

    def _run(self) -> None:
        next_s = time.monotonic()
        for tick in range(10**9):
            for _ in range(_BURST if tick % _BURST_EVERY == _BURST_EVERY - 1 else 1):
                self._ask()
            next_s = max(next_s + self._interval_s, time.monotonic())
            if self._stopped.wait(next_s - time.monotonic()):
                return

    def _ask(self) -> None:
        sample = (self._first + self._made) % len(self._asked.x)
        request = Request(sample, time.monotonic())
        self._made += 1
        if self._on_end is None:
            self.requests.append(request)
        try:
            future = self._session.submit(self._asked.x[[sample]], deadline_ms=self._deadline_ms)
        except SplitNetError as err:
            self._end(request, error=f"{type(err).__name__}: {err}")
        else:
            future.add_done_callback(lambda done: self._done(request, done))

    def _done(self, request: Request, future: "Future[Answer]") -> None:
        end_s = time.monotonic()
        error = future.exception()
        if error is not None:
            self._end(request, end_s, error=f"{type(error).__name__}: {error}")
            return
        answer = future.result()
        (request.tier,), (request.reason,) = answer.exits, answer.fallbacks
        request.right = self._asked.right(request.sample, request.tier, answer.outputs["y"])
        self._end(request, end_s)

    def _end(self, request: Request, end_s: float | None = None, *, error: str = "") -> None:
        request.error = error
        with self._changed:
            self._ended += not request.ends_s
            request.ends_s.append(time.monotonic() if end_s is None else end_s)
            self._changed.notify_all()
        if self._on_end is not None:
            self._on_end(request)


def is_late(complaint: str) -> bool:
    """Whether a complaint is of a request that had too little time: neighbours of this machine may have had it."""
    return DeadlineExceededError.__name__ in complaint or OverloadedError.__name__ in complaint


def _run_of(requests: Sequence[Request], times: int) -> float | None:
    """Return when the first of `times` requests in a row was answered that were all served."""
    run: list[Request] = []
    for request in requests:
        run = [*run, request] if request.ends_s and request.served else []
        if len(run) == times:
            return run[0].ends_s[0]
    return None
