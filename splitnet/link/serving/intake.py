"""Taking requests, from calls and streams alike: who may, by when, how urgently; and telling of their end."""

import time
from concurrent.futures import Future

from splitnet.errors import DeadlineExceededError, NotFoundError, outcome_of
from splitnet.link.access import Access
from splitnet.link.serving.clients import Client, Places
from splitnet.link.serving.dataplane import DataPlane, TierResponse
from splitnet.link.serving.limits import Limits
from splitnet.link.serving.underway import Underway
from splitnet.link.terms import (
    FINAL_RESPONSE_PARAMETER,
    check_is_single,
    deadline_of,
    priority_of,
    wants_final_mark,
)
from splitnet.link.timer import DeadlineTimer
from splitnet.protocol import InferRequest, InferResponse, Parameter
from splitnet.telemetry import Events, RequestEnd

# What stands for the future of a request until the data plane has given one.
_NOT_YET: "Future[InferResponse]" = Future()


class Intake:
    """Hands requests to a data plane; thread-safe."""

    def __init__(
        self, dataplane: DataPlane, limits: Limits, *, tier: str | None, access: Access | None, events: Events
    ) -> None:
        """Take requests for `dataplane`.

        Args:
            dataplane: what computes.
            limits: the deadline of a request that states none, and what a client may have under way.
            tier: in whose name answers say how long they took; None says nothing.
            access: who may call what; None lets everybody call everything.
            events: told of each request's end.
        """
        self._dataplane = dataplane
        self._default_ms = limits.default_deadline_ms
        self._places = Places(limits.quota.in_flight, "requests")
        self._total = f"splitnet_{tier}_total_ms" if tier else None
        self._access = access
        self._events = events
        self._timer = DeadlineTimer("expiry")

    def close(self) -> None:
        """Stop the thread that watches deadlines."""
        self._timer.close()

    def take(
        self,
        request: InferRequest,
        client: Client,
        *,
        arrived_s: float,
        call_s: float | None = None,
        inline: bool = False,
    ) -> Underway:
        """Begin a request; one that is refused is under way as well, with a future that has failed.

        Args:
            request: what is asked.
            client: who asks.
            arrived_s: `time.perf_counter()` when it came.
            call_s: what gRPC says is left of the call, seconds.
            inline: whether this thread may compute it.
        """
        deadline = deadline_of(request, self._default_ms, call_s)
        under = Underway(
            request.id, request.model_name, request.model_version, client.name, arrived_s, deadline, _NOT_YET
        )
        try:
            self._places.take(client.name)
            under.placed = True
            client.check(self._access, request.model_name, "infer")
            check_is_single(request)
            if deadline.expired:
                raise _expired()
            under.marked, priority = wants_final_mark(request), priority_of(request)
            under.future = self._dataplane.infer(request, deadline, priority=priority, inline=inline)
        except Exception as err:  # noqa: BLE001  (answered, and logged where it is a fault of ours)
            under.future = Future()
            under.future.set_exception(err)
        return under

    def watch(self, under: Underway) -> None:
        """Have the request dropped at its deadline if it only waits then; a busy worker would find it later."""

        def expire() -> None:
            under.drop(_expired())

        under.alarm = self._timer.call_at(under.deadline, expire)

    def answer(self, under: Underway) -> InferResponse:
        """Return the answer as it is sent.

        Raises:
            Exception: what the request ended with.
        """
        response = under.result()
        parameters: dict[str, Parameter] = dict(response.parameters)
        if self._total is not None:
            parameters[self._total] = (time.perf_counter() - under.arrived_s) * 1e3
        if under.marked:
            parameters[FINAL_RESPONSE_PARAMETER] = True
        return InferResponse(
            response.model_name, response.tensors, response.model_version, response.id, parameters
        )

    def leave(self, under: Underway) -> None:
        """Give the request's place back; before its answer is sent, since whoever reads that may ask again."""
        if under.alarm is not None:
            self._timer.cancel(under.alarm)
        if under.placed:
            self._places.leave(under.client)

    def tell(self, under: Underway, error: BaseException | None) -> None:
        """Tell of the request's end: `error`, or its answer where that is None; a probe's is nobody's concern."""
        seconds = time.perf_counter() - under.arrived_s
        if error is not None:
            self._events.request_end(self._failed(under, error, seconds))
            return
        response = under.future.result()
        if isinstance(response, TierResponse) and not response.plan:
            return
        version = int(response.model_version) if response.model_version.isdecimal() else 0
        if not isinstance(response, TierResponse):
            self._events.request_end(RequestEnd(under.id, under.model, "", version, "OK", seconds))
            return
        self._events.request_end(
            RequestEnd(
                under.id,
                under.model,
                response.plan,
                version,
                "OK",
                seconds,
                response.samples,
                response.exits,
                response.fallbacks,
            )
        )

    def refused(self, request_id: str, error: BaseException, arrived_s: float) -> None:
        """Tell of a message that never became a request."""
        seconds = time.perf_counter() - arrived_s
        status = outcome_of(error).status
        self._events.request_end(RequestEnd(request_id, "", "", 0, status, seconds, error=str(error)))

    def _failed(self, under: Underway, error: BaseException, seconds: float) -> RequestEnd:
        model, version = self._found(under)
        status = outcome_of(error).status
        return RequestEnd(under.id, model, "", version, status, seconds, error=str(error))

    def _found(self, under: Underway) -> tuple[str, int]:
        """Return the model and version that a failed request was for; "" and 0 where nobody has them.

        Whoever counts by model would else count by whatever callers think of.
        """
        try:
            versions = self._dataplane.model_metadata(under.model, under.version).versions
            return under.model, int(under.version or versions[-1])
        except (NotFoundError, ValueError, IndexError):
            return "", 0


def _expired() -> DeadlineExceededError:
    return DeadlineExceededError("the deadline passed while the request waited")
