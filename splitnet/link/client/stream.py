"""Requests and answers as messages on one long-lived ModelStreamInfer stream."""

import queue
from collections.abc import Iterator
from typing import Any

import grpc

from splitnet.errors import SplitNetError
from splitnet.link.client.inflight import Call
from splitnet.link.client.way import Outbox, Take
from splitnet.link.terms import CANCEL_PARAMETER
from splitnet.protocol import (
    MODEL_STREAM_INFER,
    InferRequest,
    StreamResponse,
    decode_stream_response,
    encode_request,
)

# A model that nobody has, asked for under an id that no request has.
_PROBE = InferRequest("splitnet.probe", {}, id="splitnet.probe")


class StreamWay:
    """Triton's ModelStreamInfer: answers come in any order, and carry the id of their request."""

    def __init__(self, channel: grpc.Channel, extensions: frozenset[str]) -> None:
        self._stream: Any = channel.stream_stream(MODEL_STREAM_INFER.path)
        self._takes_cancels = CANCEL_PARAMETER in extensions

    def run(self, outbox: Outbox, take: Take) -> str:
        """See `Way.run`."""
        call = self._stream(_messages(outbox))
        try:
            for message in call:
                take(decode_stream_response(message), len(message))
        except SplitNetError as err:
            return f"sent what cannot be read ({err})"
        except grpc.RpcError as err:
            err.with_traceback(None)  # it is the call itself, which the frames on its way hold
            return f"broke off the stream ({err.code().name})"
        finally:
            call.cancel()
        return "closed the stream"

    def withdraw(self, outbox: Outbox, call: Call) -> None:
        """See `Way.withdraw`."""
        if self._takes_cancels:
            cancel = InferRequest(call.model, {}, id=call.id, parameters={CANCEL_PARAMETER: True})
            outbox.put(encode_request(cancel))


def streams(channel: grpc.Channel, timeout_s: float) -> bool:
    """Find out whether the server answers a stream as Triton does, by a request that must fail.

    Triton answers it with an error that bears the request's id, and the stream goes on. MLServer breaks off the
    stream; others do not have one.
    """
    answer = _probed(channel, timeout_s)
    return answer is not None and bool(answer.error_message) and answer.response.id == _PROBE.id


def takes_a_stream(channel: grpc.Channel, timeout_s: float) -> bool:
    """Find out whether a server that streams as Triton does has room for one more, and answers on it."""
    answer = _probed(channel, timeout_s)
    return answer is not None and answer.response.id == _PROBE.id


def _probed(channel: grpc.Channel, timeout_s: float) -> StreamResponse | None:
    outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    outbox.put(encode_request(_PROBE))
    made: Any = channel.stream_stream(MODEL_STREAM_INFER.path)
    call = made(iter(outbox.get, None), timeout=max(0.0, timeout_s))
    try:
        return decode_stream_response(next(call))
    except (StopIteration, SplitNetError, grpc.RpcError):
        return None
    finally:
        call.cancel()
        outbox.put(None)


def _messages(outbox: Outbox) -> Iterator[bytes]:
    """Yield what waits in `outbox` until None comes; what has ended meanwhile is skipped."""
    while (item := outbox.get()) is not None:
        message = item.message if isinstance(item, Call) else item
        del item  # here it would stay until the next one comes, with its answer
        if message:
            yield message
        del message
