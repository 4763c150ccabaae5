"""Requests as a ModelInfer call each, for servers of the protocol that do not stream as Triton does."""

import threading
from typing import Any

import grpc

from splitnet.errors import SplitNetError, outcome_of
from splitnet.link.client.inflight import Call
from splitnet.link.client.way import Outbox, Take
from splitnet.link.status import STATUS_PARAMETER
from splitnet.protocol import MODEL_INFER, InferResponse, StreamResponse, decode_response

# The link ends a request at its deadline; gRPC's own is a little later, so that there is one way to end.
_GRACE_S = 0.1


class UnaryWay:
    """ModelInfer, as many calls at once as the window has.

    That the server is gone is found out by the next call: then the connection ends, and another one is made. To
    watch the channel would cost a thread of gRPC's that looks five times a second.
    """

    def __init__(self, channel: grpc.Channel, closed: threading.Event) -> None:
        """Begin on `channel`, whose closing under our hands, by another thread, `closed` tells beforehand."""
        self._infer: Any = channel.unary_unary(MODEL_INFER.path)
        self._closed = closed
        self._changed = threading.Condition()
        self._open: dict[str, Any] = {}
        self._broken = False

    def run(self, outbox: Outbox, take: Take) -> str:
        """See `Way.run`."""
        while self._send_next(outbox, take):
            pass
        with self._changed:
            self._changed.wait_for(lambda: self._broken or not self._open)
        return "broke off a call" if self._broken else "is no longer asked"

    def withdraw(self, outbox: Outbox, call: Call) -> None:  # noqa: ARG002  (the stream needs it)
        """See `Way.withdraw`."""
        if (under_way := self._open.get(call.id)) is not None:
            under_way.cancel()

    def _send_next(self, outbox: Outbox, take: Take) -> bool:
        item = outbox.get()
        if isinstance(item, Call) and item.message:
            self._start(item, outbox, take)
        return item is not None

    def _start(self, call: Call, outbox: Outbox, take: Take) -> None:
        try:
            made = self._infer.future(call.message, timeout=call.deadline.remaining_s() + _GRACE_S)
        except ValueError:
            if not self._closed.is_set():
                raise
            return  # `call` ends, or goes elsewhere, with the connection
        with self._changed:
            self._open[call.id] = made
        call_id, deadline = call.id, call.deadline

        def settle(done: Any) -> None:  # noqa: ANN401  (gRPC's own future)
            # To gRPC, what its channel takes along is cancelled too; nobody has answered, nor given it up.
            taken_along = done.code() is grpc.StatusCode.CANCELLED and self._closed.is_set()
            with self._changed:
                self._open.pop(call_id, None)
                self._broken = self._broken or taken_along or done.code() is grpc.StatusCode.UNAVAILABLE
                self._changed.notify_all()
            too_late = done.code() is grpc.StatusCode.DEADLINE_EXCEEDED and deadline.expired
            if not (taken_along or too_late or done.cancelled()):  # then it is no word of the server's
                take(*_answer_of(call_id, done))
            if self._broken:
                outbox.put(None)

        made.add_done_callback(settle)


def _answer_of(call_id: str, done: Any) -> tuple[StreamResponse, int]:  # noqa: ANN401  (gRPC's own future)
    """Return the answer and its size in bytes."""
    try:
        message = done.result()
        return StreamResponse(_named(decode_response(message), call_id)), len(message)
    except grpc.RpcError as err:
        return _failed(call_id, err.code().name, err.details() or "no reason was given"), 0
    except SplitNetError as err:
        return _failed(call_id, outcome_of(err).status, str(err)), 0


def _named(response: InferResponse, call_id: str) -> InferResponse:
    """Return `response` under the id that was asked: a call has one answer, whatever it says."""
    return InferResponse(
        response.model_name, response.tensors, response.model_version, call_id, response.parameters
    )


def _failed(call_id: str, status: str, text: str) -> StreamResponse:
    if status == grpc.StatusCode.UNAVAILABLE.name:  # gRPC's own words for a lost link name addresses
        text = "the tier above broke off the call"
    response = InferResponse("", {}, id=call_id, parameters={STATUS_PARAMETER: status})
    return StreamResponse(response, error_message=f"[{status}] {text}")
