"""One open stream on the serving side: requests in, answers out in whichever order they come."""

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from splitnet.errors import CallerError, OverloadedError, PeerError, UnavailableError, outcome_of
from splitnet.link.status import STATUS_PARAMETER, public_text
from splitnet.protocol import (
    InferRequest,
    InferResponse,
    StreamResponse,
    decode_request,
    encode_stream_response,
)

logger = logging.getLogger(__name__)

Take = Callable[[InferRequest], "Future[InferResponse]"]


class StreamExchange:
    """Reads requests on a thread of its own, and yields encoded responses to gRPC's thread."""

    def __init__(
        self, take: Take, messages: Iterator[bytes], *, max_in_flight: int, max_message_bytes: int
    ) -> None:
        """Prepare an exchange.

        Args:
            take: starts a request; raises SplitNetError to refuse it.
            messages: encoded requests; ends or raises when the caller is gone.
            max_in_flight: unanswered requests allowed; past it RESOURCE_EXHAUSTED.
            max_message_bytes: largest answer; gRPC would end the stream, with all in flight, on a larger one.
        """
        self._take = take
        self._messages = messages
        self._max_in_flight = max_in_flight
        self._max_message_bytes = max_message_bytes
        # A caller that sends but does not read is not read from either: answers must not pile up here.
        self._room = threading.Semaphore(2 * max_in_flight)
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._in_flight = 0
        self._ending = False

    def responses(self) -> Iterator[bytes]:
        """Yield responses until the caller has ended the stream (or it drains) and all is answered."""
        threading.Thread(target=self._read, name="stream-reader", daemon=True).start()
        while (message := self._outbox.get()) is not None:
            self._room.release()
            yield message

    def drain(self) -> None:
        """Refuse new requests, and end once what is in flight is answered."""
        with self._lock:
            self._ending = True
            idle = self._in_flight == 0
        if idle:
            self._outbox.put(None)

    def abandon(self) -> None:
        """End now: the caller is gone."""
        self._room.release()
        self._outbox.put(None)

    def _read(self) -> None:
        while (message := self._next()) is not None:
            self._room.acquire()
            self._start(message)
        self.drain()

    def _next(self) -> bytes | None:
        try:
            return next(self._messages, None)
        except Exception as err:  # noqa: BLE001  (gRPC raises a bare Exception when the call is over)
            logger.debug("a stream ended: %s", err)
            return None

    def _start(self, message: bytes) -> None:
        request_id = ""
        try:
            request = decode_request(message)
            request_id = request.id
            self._enter()
        except Exception as err:  # noqa: BLE001  (answered, and logged where it is a fault of ours)
            self._outbox.put(_failure(request_id, err))
            return
        try:
            future = self._take(request)
        except Exception as err:  # noqa: BLE001  (answered and logged below, like a failed future)
            future = Future()
            future.set_exception(err)
        future.add_done_callback(lambda done: self._finish(request_id, done))

    def _enter(self) -> None:
        with self._lock:
            if self._ending:
                raise UnavailableError("shutting down")
            if self._in_flight >= self._max_in_flight:
                raise OverloadedError(f"{self._max_in_flight} requests of this stream are unanswered")
            self._in_flight += 1

    def _finish(self, request_id: str, future: "Future[InferResponse]") -> None:
        try:
            message = self._encoded(request_id, future)
        except Exception as err:  # noqa: BLE001  (answered and logged; in a callback nobody else would do either)
            message = _failure(request_id, err)
        with self._lock:  # at once: whoever has read the answer may ask again, and the end comes after the last
            self._in_flight -= 1
            self._outbox.put(message)
            if self._ending and self._in_flight == 0:
                self._outbox.put(None)

    def _encoded(self, request_id: str, future: "Future[InferResponse]") -> bytes:
        message = encode_stream_response(StreamResponse(future.result()))
        if len(message) > self._max_message_bytes:
            return _failure(request_id, _too_large(len(message), self._max_message_bytes))
        return message


def _too_large(size_bytes: int, most: int) -> OverloadedError:
    return OverloadedError(f"the answer has {size_bytes} bytes; at most {most} are sent: ask for fewer samples")


def _failure(request_id: str, error: BaseException) -> bytes:
    """Encode a failed request: Triton's clients read the message, ours the status parameter too."""
    if not isinstance(error, CallerError | PeerError):
        logger.error("a request failed", exc_info=error)
    status = outcome_of(error).status
    response = InferResponse("", {}, id=request_id, parameters={STATUS_PARAMETER: status})
    return encode_stream_response(StreamResponse(response, error_message=f"[{status}] {public_text(error)}"))
