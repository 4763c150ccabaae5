"""The lower end of a link: one long-lived stream to the tier above, many requests in flight on it."""

import itertools
import logging
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import grpc

from splitnet.config import format_address
from splitnet.deadline import Deadline
from splitnet.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    OverloadedError,
    SplitNetError,
    UnavailableError,
    error_from_status,
)
from splitnet.link.calls import call_once
from splitnet.link.options import channel_options
from splitnet.link.status import STATUS_PARAMETER
from splitnet.link.timer import Alarm, DeadlineTimer
from splitnet.protocol import (
    MODEL_READY,
    MODEL_STREAM_INFER,
    InferRequest,
    InferResponse,
    ModelName,
    StreamResponse,
    decode_stream_response,
    encode_request,
)

logger = logging.getLogger(__name__)

# What the tier above did, for errors: they may go on to a client, so they hold no address. The log does.
_CLOSED = "is no longer asked: the link is closed"

# A server that drains ends its streams first and the connection a moment later: do not spin on it.
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0


@dataclass(slots=True, eq=False)
class _Pending:
    message: bytes
    future: "Future[InferResponse]"
    alarm: Alarm

    def fail(self, error: SplitNetError) -> None:
        """End it; while the peer is silent it stays queued to be sent, and must not keep its tensors there."""
        self.message = b""
        self.future.set_exception(error)


class StreamClient:
    """A link to the tier at `address` that keeps one stream open and opens it again when it breaks.

    While the link is down, requests fail at once with UnavailableError; requests made before the first
    attempt to connect has ended wait for it, within their deadlines.
    """

    def __init__(self, address: tuple[str, int], *, max_message_bytes: int, window: int) -> None:
        """Start connecting in the background.

        Args:
            address: host and port of the tier above.
            max_message_bytes: largest message sent or taken, bytes.
            window: most requests in flight; one more is refused.
        """
        self.address = address
        self._window = window
        self._max_message_bytes = max_message_bytes
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._pending: dict[str, _Pending] = {}
        self._outbox: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._down: str | None = None
        self._closed = threading.Event()
        self._known = threading.Event()
        self._timer = DeadlineTimer(f"deadlines-{format_address(address)}")
        self._channel = grpc.insecure_channel(format_address(address), options=channel_options(max_message_bytes))
        self._stream: Any = self._channel.stream_stream(MODEL_STREAM_INFER.path)
        self._connectivity = grpc.ChannelConnectivity.IDLE
        self._call: Any = None
        self._thread = threading.Thread(target=self._run, name=f"link-{format_address(address)}", daemon=True)
        self._channel.subscribe(self._on_connectivity, try_to_connect=True)
        self._thread.start()

    def infer(self, request: InferRequest, deadline: Deadline) -> "Future[InferResponse]":
        """Send `request` (its id is replaced) and promise its response.

        The future ends with the response, or with a SplitNetError: DeadlineExceededError at the
        deadline, UnavailableError when the link breaks, or what the tier above answered.

        Raises:
            UnavailableError: the link is down or closed.
            OverloadedError: the window is full.
            InvalidArgumentError: the request is larger than a message may be, or cannot be encoded.
        """
        request_id = str(next(self._ids))
        message = encode_request(replace(request, id=request_id))
        if len(message) > self._max_message_bytes:
            # gRPC would end the stream, with all that is in flight, on a message that is too large.
            raise InvalidArgumentError(
                f"the request has {len(message)} bytes; at most {self._max_message_bytes} are sent up: "
                "send fewer samples"
            )
        future: Future[InferResponse] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if self._closed.is_set() or self._down is not None:
                raise UnavailableError(f"the tier above {self._down or _CLOSED}")
            if len(self._pending) >= self._window:
                raise OverloadedError(f"{self._window} requests are in flight to the tier above")
            alarm = self._timer.call_at(deadline, lambda: self._expire(request_id))
            pending = _Pending(message, future, alarm)
            self._pending[request_id] = pending
            if self._outbox.qsize() >= 2 * self._window:
                self._sweep()
            self._outbox.put(pending)
        return future

    def model_ready(self, model: ModelName, *, timeout_s: float) -> bool:
        """Ask the tier above, beside the stream, whether it answers for `model` now.

        Raises:
            UnavailableError: the link is down or closed.
            DeadlineExceededError: no answer came within `timeout_s` seconds.
            PeerProtocolError: the answer cannot be read, or is an error.
        """
        if self._closed.is_set() or self._down is not None:
            raise UnavailableError(f"the tier above {self._down or _CLOSED}")
        return call_once(self._channel, MODEL_READY, model, timeout_s=timeout_s, wait=True)

    def wait_until_known(self, timeout_s: float) -> bool:
        """Wait for the end of the first attempt to connect, at most `timeout_s`; return whether the link is up."""
        self._known.wait(timeout_s)
        return self.connected

    @property
    def connected(self) -> bool:
        """Whether the channel to the tier above is up."""
        return self._connectivity is grpc.ChannelConnectivity.READY

    def close(self) -> None:
        """Fail what is in flight, close the connection and stop the threads."""
        self._closed.set()
        self._outbox.put(None)
        if (call := self._call) is not None:
            call.cancel()
        self._channel.unsubscribe(self._on_connectivity)
        self._channel.close()
        self._thread.join(timeout=5.0)
        self._timer.close()
        self._fail_all(_CLOSED, down=True)

    def _sweep(self) -> None:
        """Drop from the outbox what has ended while the peer took nothing; at most `window` requests have not."""
        queued: list[_Pending | None] = []
        with suppress(queue.Empty):
            while True:
                queued.append(self._outbox.get_nowait())
        for pending in queued:
            if pending is None or pending.message:
                self._outbox.put(pending)

    def _on_connectivity(self, state: grpc.ChannelConnectivity) -> None:
        before, self._connectivity = self._connectivity, state
        if state in (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE):
            self._known.set()
        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            if before is not state:
                # gRPC tries again and again; the operator is told once until it comes back.
                level = logging.INFO if self._down else logging.WARNING
                logger.log(level, "link to %s: cannot be reached", format_address(self.address))
            self._fail_all("cannot be reached", down=True)
        elif state is grpc.ChannelConnectivity.READY:
            with self._lock:
                self._down = None

    def _run(self) -> None:
        """Keep a stream open until closed; one that was of no use is followed by a longer pause."""
        pause_s = _FIRST_PAUSE_S
        while not self._closed.is_set():
            try:
                useful = self._serve_stream()
            except Exception:
                useful = False
                if not self._closed.is_set():  # a channel that is closed under our hands raises as well
                    logger.exception("link to %s failed", format_address(self.address))
            pause_s = _FIRST_PAUSE_S if useful else min(2 * pause_s, _LONGEST_PAUSE_S)
            self._closed.wait(pause_s)

    def _serve_stream(self) -> bool:
        """Open one stream, take its responses until it ends, and return whether there were any."""
        outbox, useful = self._outbox, False
        # Waiting for the channel is what makes gRPC connect again, with its own backoff and jitter.
        self._call = call = self._stream(_messages(outbox), wait_for_ready=True)
        reason = "cannot be understood"
        try:
            for message in call:
                useful = True
                self._received(decode_stream_response(message))
            reason = "closed the stream"
        except SplitNetError as err:
            reason = f"sent what cannot be read ({err})"
        except grpc.RpcError as err:
            reason = f"broke off the stream ({err.code().name})"
        finally:
            call.cancel()
            with self._lock:
                self._outbox = queue.SimpleQueue()
            outbox.put(None)
            self._fail_all(reason, down=False)
        if not self._closed.is_set():
            logger.info("link to %s: %s", format_address(self.address), reason)
        return useful

    def _received(self, message: StreamResponse) -> None:
        with self._lock:
            pending = self._pending.pop(message.response.id, None)
        if pending is None:
            return  # it came after its deadline, and the fallback has answered
        self._timer.cancel(pending.alarm)
        if message.error_message:
            status = message.response.parameters.get(STATUS_PARAMETER, "")
            pending.future.set_exception(error_from_status(str(status), message.error_message))
        else:
            pending.future.set_result(message.response)

    def _expire(self, request_id: str) -> None:
        with self._lock:
            pending = self._pending.pop(request_id, None)
        if pending is not None:
            pending.fail(DeadlineExceededError("the tier above gave no answer within the deadline"))

    def _fail_all(self, reason: str, *, down: bool) -> None:
        with self._lock:
            self._down = reason if down else self._down
            lost = list(self._pending.values())
            self._pending.clear()
        for pending in lost:
            self._timer.cancel(pending.alarm)
            pending.fail(UnavailableError(f"the tier above {reason}"))


def _messages(outbox: "queue.SimpleQueue[_Pending | None]") -> Iterator[bytes]:
    """Yield what waits in `outbox` until None comes; what has failed meanwhile is skipped."""
    while (pending := outbox.get()) is not None:
        if message := pending.message:
            yield message
