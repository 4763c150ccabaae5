"""What happens on a tier, as its parts tell it: those who count and those who log listen to the same events."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

#: Whether a tier above is asked ("closed", as of a circuit), tried again, or left alone.
BreakerState = Literal["closed", "half-open", "open"]


@dataclass(frozen=True, slots=True)
class SegmentRun:
    """One run of a segment, for one request or a batch of several.

    Attributes:
        segment: its id.
        plan: id of the plan.
        version: of the package.
        samples: computed together.
        requests: whose samples these were.
        queue_s: how long each of those requests had waited, seconds; one entry a request.
        compute_s: the run itself, seconds.
    """

    segment: str
    plan: str
    version: int
    samples: int
    requests: int
    queue_s: tuple[float, ...]
    compute_s: float


@dataclass(frozen=True, slots=True)
class RequestEnd:
    """The end of one request at this tier.

    Attributes:
        request_id: the same on every tier.
        model: that was asked for, such as "pcb.edge"; "" where the request never said, or nobody has it.
        plan: id of the plan; "" where none was found.
        version: of the package; 0 where none was found.
        status: "OK" or a gRPC status name.
        seconds: from its arrival to its end.
        samples: of the request; 0 where they were never counted.
        exits: who answered each sample; empty without an answer.
        fallbacks: why a shallower exit answered, one entry a sample, "" for none; empty without an answer.
        error: what went wrong, for the log; "" where nothing did.
    """

    request_id: str
    model: str
    plan: str
    version: int
    status: str
    seconds: float
    samples: int = 0
    exits: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer on the link to the tier above.

    Attributes:
        upstream: HOST:PORT of the tier above.
        sent_bytes: of the request.
        received_bytes: of the answer.
        seconds: from handing the request to the link until its answer was there.
        remote_s: what the tier above says that it took of that, seconds; None where it does not say.
        others: requests that were in flight on the link when this one was sent.
    """

    upstream: str
    sent_bytes: int
    received_bytes: int
    seconds: float
    remote_s: float | None
    others: int


class Events:
    """Somebody who listens; this one does nothing. Called on any thread: be quick, and never raise."""

    def segment_run(self, run: SegmentRun) -> None:
        """Note a run of a segment."""

    def request_end(self, end: RequestEnd) -> None:
        """Note the end of a request."""

    def exchange(self, exchange: Exchange) -> None:
        """Note an answer of the tier above."""

    def upstream(self, upstream: str) -> None:
        """Note a tier above that is to be asked from now on; nothing has been told of it yet."""

    def retry(self, upstream: str) -> None:
        """Note that a request is tried again, first asked of `upstream`."""

    def breaker(self, upstream: str, state: BreakerState) -> None:
        """Note that a tier above is asked, left alone or tried again from now on."""

    def link(self, upstream: str, *, up: bool) -> None:
        """Note that a connection to a tier above is there, or gone."""

    def plan_switch(self, before: str, after: str) -> None:
        """Note that another plan is run from now on."""

    def queue_depth(self, waiting: int) -> None:
        """Note how many requests wait or run, as of now."""

    def cache_hit(self, tier: str) -> None:
        """Note that a kept answer was given at `tier`."""


class Listeners(Events):
    """Hands every event on to several listeners."""

    def __init__(self, listeners: Iterable[Events]) -> None:
        self._listeners = tuple(listeners)

    def segment_run(self, run: SegmentRun) -> None:
        """Hand on a run of a segment."""
        for each in self._listeners:
            each.segment_run(run)

    def request_end(self, end: RequestEnd) -> None:
        """Hand on the end of a request."""
        for each in self._listeners:
            each.request_end(end)

    def exchange(self, exchange: Exchange) -> None:
        """Hand on an answer of the tier above."""
        for each in self._listeners:
            each.exchange(exchange)

    def upstream(self, upstream: str) -> None:
        """Hand on that there is another tier above."""
        for each in self._listeners:
            each.upstream(upstream)

    def retry(self, upstream: str) -> None:
        """Hand on that a request is tried again."""
        for each in self._listeners:
            each.retry(upstream)

    def breaker(self, upstream: str, state: BreakerState) -> None:
        """Hand on that a breaker changed."""
        for each in self._listeners:
            each.breaker(upstream, state)

    def link(self, upstream: str, *, up: bool) -> None:
        """Hand on that a link came or went."""
        for each in self._listeners:
            each.link(upstream, up=up)

    def plan_switch(self, before: str, after: str) -> None:
        """Hand on that the plan changed."""
        for each in self._listeners:
            each.plan_switch(before, after)

    def queue_depth(self, waiting: int) -> None:
        """Hand on how many requests wait or run."""
        for each in self._listeners:
            each.queue_depth(waiting)

    def cache_hit(self, tier: str) -> None:
        """Hand on that a kept answer was given."""
        for each in self._listeners:
            each.cache_hit(tier)
