"""The way to the tier above over one address or several: those that answer are asked in turn."""

import random
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial

from splitnet.config import LinkConfig
from splitnet.deadline import Deadline
from splitnet.errors import (
    DeadlineExceededError,
    OverloadedError,
    PeerError,
    SplitNetError,
    UnavailableError,
    error_from_status,
)
from splitnet.link.client.budget import RetryBudget
from splitnet.link.client.channel import Target
from splitnet.link.client.connection import Connection, Credentials, Diagnose, Terms
from splitnet.link.client.endpoint import Endpoint, Policy
from splitnet.link.client.inflight import Asked, Call, InFlight
from splitnet.link.client.measure import exchange_of
from splitnet.link.client.members import Members
from splitnet.link.status import STATUS_PARAMETER
from splitnet.link.timer import DeadlineTimer
from splitnet.protocol import InferRequest, InferResponse, ModelName, StreamResponse
from splitnet.telemetry import Events

# Where one of several upstreams has said nothing for this share of a request's time, another is asked as well.
_SILENT_SHARE = 0.5
# For that the retry budget is used down to this share, so that what is lost with a connection finds some left.
_LEFT_SHARE = 0.5

_CLOSED = "the tier above is no longer asked: the link is closed"


class Upstreams:
    """A `Link` to the tier above, which may be reached at several addresses.

    What is lost with a connection, and what one upstream has no room for, is asked of another that is up, within
    the request's deadline and the retry budget; so is what one is silent about for half of its time, whose answer
    may then come from either. Nothing is asked twice over the same connection.
    """

    def __init__(  # noqa: PLR0913  (made in one place of each program, from its configuration)
        self,
        addresses: Sequence[tuple[str, int]],
        *,
        max_message_bytes: int,
        window: int,
        settings: LinkConfig,
        credentials: Credentials | None = None,
        tls_name: str | None = None,
        diagnose: Diagnose | None = None,
        events: Events = Events(),  # noqa: B008  (it holds nothing)
        timer: DeadlineTimer | None = None,
        seed: int | None = None,
    ) -> None:
        """Start connecting in the background.

        Args:
            addresses: host and port of each; a host name that stands for several addresses counts as several.
            max_message_bytes: largest message sent or taken, bytes.
            window: most requests in flight on all of them together; one more is refused.
            settings: how a link comes back, and when it is left alone.
            credentials: called when a connection is made; None makes plaintext ones.
            tls_name: the name that the tier's certificate must bear, where it is not the host's.
            diagnose: says why a tier cannot be reached, where certificates are why.
            events: told of exchanges, retries, breakers and links.
            timer: the clock of deadlines, for those who have alarms of their own after them; None makes one.
            seed: of the jitter and of the ids of requests without one; None draws one.
        """
        source = random.Random(seed)  # noqa: S311  (no secret)
        self._events = events
        self._timer = timer if timer is not None else DeadlineTimer("link-deadlines")
        self._owns_timer = timer is None
        self._inflight = InFlight(window, max_message_bytes, source)
        self._budget = RetryBudget(settings.retry_share, window)
        terms = Terms(max_message_bytes, window, credentials, diagnose)
        self._closed = False
        self._moving = threading.Lock()
        self._members = Members(Policy(terms, settings, events, source), self, self._timer)
        self._members.start([Target(address, tls_name) for address in dict.fromkeys(addresses)])

    @property
    def connected(self) -> bool:
        """Whether a request made now would be sent."""
        return any(endpoint.up for endpoint in self._members.all())

    def infer(self, request: InferRequest, deadline: Deadline) -> "Future[InferResponse]":
        """See `Link.infer`; cancelling the future drops the request on the tier above, where it can be told."""
        if self._closed or not self._members.open:  # before it is encoded: nobody would take it
            raise self._unavailable()
        call = self._inflight.enter(request, deadline)
        try:
            self._budget.note_request()
            call.alarm = self._timer.call_at(deadline, partial(self._expire, call))
            if self._members.are_several:
                halfway = deadline.earlier_by(deadline.remaining_s() * (1.0 - _SILENT_SHARE))
                call.reminder = self._timer.call_at(halfway, partial(self._overdue, call))
            # By its id: a future that refers to its call, which refers to it, would keep tensors until the next
            # collection of cycles.
            call.future.add_done_callback(partial(self._settled, call.id))
            if not self._members.offer(call):
                raise self._unavailable()
            if not self._inflight.holds(call):  # it ended meanwhile, and nobody has told the one that was asked
                call.tried[-1].withdrawn(call)
        except BaseException:
            self._end(call)
            raise
        return call.future

    def supports(self, extension: str) -> bool:
        """Whether every upstream that is up names `extension`; see `Link.supports`."""
        spoken = [endpoint.extensions for endpoint in self._members.all() if endpoint.up]
        return bool(spoken) and all(extension in each for each in spoken)

    def model_ready(self, model: ModelName, *, timeout_s: float) -> bool:
        """Ask every upstream that is up; see `Link.model_ready`."""
        until = Deadline.after_ms(timeout_s * 1e3)
        self.wait_until_known(timeout_s)
        answers: list[bool] = []
        error: SplitNetError = self._unavailable()
        for endpoint in self._members.all():
            if not endpoint.up:
                continue
            try:
                answers.append(endpoint.model_ready(model, until.remaining_s()))
            except PeerError as err:
                error = err
        if not answers:
            raise error
        return all(answers)

    def wait_until_known(self, timeout_s: float) -> bool:
        """Wait until one is up, or the first attempt of each has ended; see `Link.wait_until_known`."""
        self._members.wait_until_known(timeout_s)
        return self.connected

    def renew(self) -> None:
        """Move to fresh connections with fresh credentials; what is in flight ends on the old ones."""
        self._members.renew()

    def close(self) -> None:
        """See `Link.close`."""
        self._closed = True
        self._members.close()
        if self._owns_timer:
            self._timer.close()
        for call in self._inflight.all():
            self._fail(call, UnavailableError(_CLOSED))

    def answered(self, connection: Connection, answer: StreamResponse, size_bytes: int) -> None:
        """Give an answer to whoever asked; one that comes late, or again, is nobody's."""
        found = self._inflight.find(answer.response.id, connection)
        if found is None:
            return
        call, asked = found
        if answer.error_message:
            status = str(answer.response.parameters.get(STATUS_PARAMETER, ""))
            self._refused(call, asked, error_from_status(status, answer.error_message))
        elif self._end(call, by=asked):
            self._events.exchange(exchange_of(call, asked, answer.response, size_bytes))
            asked.carrier.served()
            call.succeed(answer.response)

    def lost(self, connection: Connection, reason: str) -> None:
        """Ask others for what was sent on a connection that has ended, or fail it."""
        for call in self._inflight.all():
            if (asked := call.asked_on(connection)) is not None:
                self._refused(call, asked, UnavailableError(f"the tier above {reason}"))

    def silent(self, endpoint: Endpoint) -> None:
        """Note that nothing came on an endpoint's connection while a request went unanswered."""
        self._members.stand_by(endpoint)

    def known(self, endpoint: Endpoint) -> None:
        """Note that an endpoint came up, or that its first attempt failed."""
        self._members.known(endpoint)
        if endpoint.beside and endpoint.up:
            for call in self._inflight.all():
                if all(each.carrier.is_silent for each in call.asked):
                    self._overdue(call)

    def _unavailable(self) -> UnavailableError:
        return UnavailableError(_CLOSED if self._closed else f"the tier above {self._members.why_down()}")

    def _refused(self, call: Call, asked: Asked, error: SplitNetError) -> None:
        """Ask another, where that may help, or wait for others that are asked; if there is none, fail the call."""
        may_help = isinstance(error, UnavailableError | OverloadedError)
        if not self._goes_on(call, asked, retry=may_help):
            self._fail(call, error, by=asked)

    def _goes_on(self, call: Call, without: Asked, *, retry: bool) -> bool:
        with self._moving:
            if without not in call.asked:  # lost with its connection, and refused as well
                return True
            call.asked.remove(without)
            return (retry and self._retry(call)) or bool(call.asked)

    def _overdue(self, call: Call) -> None:
        """Ask another upstream as well, if the one that was asked is silent: it may hang."""
        with self._moving:
            is_sent = bool(call.asked) and self._inflight.holds(call)
            if is_sent and all(each.carrier.silent_since(each.since_s) for each in call.asked):
                self._retry(call, leave=_LEFT_SHARE)

    def _retry(self, call: Call, *, leave: float = 0.0) -> bool:
        first = call.tried[0]
        if call.deadline.expired or not self._members.has_another(call) or not self._budget.take(leave=leave):
            return False
        if not self._members.offer(call):
            return False
        self._events.retry(first.label)
        if not self._inflight.holds(call):  # it ended meanwhile, and nobody has told the new one
            call.tried[-1].withdrawn(call)
        return True

    def _expire(self, call: Call) -> None:
        if self._inflight.leave(call, late=len(call.asked)):
            call.fail(DeadlineExceededError("the tier above gave no answer within the deadline"))
            for each in list(call.asked):
                each.carrier.expired(call)
                if each.since_s > call.begun_s:  # who was asked later believes that there is time left
                    each.carrier.withdrawn(call)

    def _settled(self, call_id: str, future: "Future[InferResponse]") -> None:
        if future.cancelled() and (call := self._inflight.cancelled(call_id, future)) is not None:
            self._timer.cancel(call.alarm)
            self._timer.cancel(call.reminder)
            for each in list(call.asked):
                each.carrier.withdrawn(call)

    def _fail(self, call: Call, error: SplitNetError, *, by: Asked | None = None) -> None:
        if self._end(call, by=by):
            call.fail(error)

    def _end(self, call: Call, *, by: Asked | None = None) -> bool:
        """Take a call out, and return whether it was open: who does that tells its future.

        Args:
            call: that ends.
            by: whose word ends it; others that are asked are told so.
        """
        others = [each for each in call.asked if each is not by]
        if not self._inflight.leave(call, late=len(others)):
            return False
        self._timer.cancel(call.alarm)
        self._timer.cancel(call.reminder)
        for each in others:
            if by is not None and each.since_s < by.since_s:
                each.carrier.outrun(call)
            elif by is not None:
                each.carrier.withdrawn(call)
        return True
