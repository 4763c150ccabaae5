"""One open stream on the serving side: requests in, answers out in whichever order they come."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from splitnet.errors import (
    CallerError,
    CancelledError,
    OverloadedError,
    PeerError,
    UnavailableError,
    outcome_of,
    without_frames,
)
from splitnet.link.serving.clients import Client
from splitnet.link.serving.intake import Intake
from splitnet.link.serving.limits import Limits
from splitnet.link.serving.streaming import Send
from splitnet.link.serving.underway import Underway
from splitnet.link.status import STATUS_PARAMETER, public_text
from splitnet.link.terms import cancels
from splitnet.protocol import (
    InferRequest,
    InferResponse,
    StreamResponse,
    decode_request,
    encode_stream_response,
)

logger = logging.getLogger(__name__)

_GONE = CancelledError("the caller has broken off the stream")
_CANCELLED = CancelledError("the caller has cancelled the request")

# So many requests in a row must have come alone before the reading thread computes the next one itself.
_CALM = 3
# Whether another one lies unread meanwhile, nobody can see: each so many, one goes the other way, to find out.
_PROBE_EACH = 16
# What takes longer gains nothing by it: waking another thread takes some 0.1 ms, and until then nothing is read.
_QUICK_S = 0.01


class StreamExchange:
    """Reads requests on gRPC's thread, and writes answers on one of its own.

    While requests come one at a time and are quick, the reading thread computes and answers them, waking no other.
    As soon as they overlap they are queued, where they can be computed together.

    Attributes:
        client: the caller.
    """

    def __init__(
        self,
        intake: Intake,
        client: Client,
        *,
        messages: Iterator[bytes],
        send: Send,
        limits: Limits,
        on_end: Callable[["StreamExchange"], None],
    ) -> None:
        """Prepare an exchange.

        Args:
            intake: starts a request.
            client: the caller.
            messages: encoded requests; ends or raises when the caller is gone.
            send: may be called on any thread, but by one at a time; does nothing once the caller is gone.
            limits: unanswered requests allowed, and the largest answer: on a larger one gRPC would end the stream,
                with all in flight.
            on_end: called with this before the caller, who may then open another stream, hears of the end.
        """
        self._intake = intake
        self.client = client
        self._messages = messages
        self._send = send
        self._on_end = on_end
        self._limits = limits
        # A caller that sends but does not read is not read from either: answers must not pile up here.
        self._room = threading.Semaphore(2 * limits.max_in_flight)
        self._outbox: queue.SimpleQueue[Underway | bytes | None] = queue.SimpleQueue()
        self._sending = threading.Lock()
        self._lock = threading.Lock()
        self._unanswered: set[Underway] = set()
        self._ending = False
        self._over = False
        self._calm = 0
        self._last_s = 0.0

    def serve(self) -> None:
        """Answer until the caller has ended the stream (or it drains) and all is answered.

        Raises:
            OverloadedError: the system has no thread left.
        """
        writer = threading.Thread(target=self._write, name="stream-writer", daemon=True)
        try:
            writer.start()
        except RuntimeError as err:
            raise OverloadedError("no thread is left for another stream; try again later") from err
        while (message := self._next()) is not None:
            self._room.acquire()
            self._read(message)
        self.drain()
        writer.join()

    def drain(self) -> None:
        """Refuse new requests, and end once what is in flight is answered."""
        with self._lock:
            self._ending = True
            if not self._unanswered:
                self._outbox.put(None)

    def abandon(self) -> None:
        """End now: the caller is gone, and what it asked for is not computed any more."""
        with self._lock:
            left = list(self._unanswered)
        for under in left:
            under.drop(_GONE, wanted=False)
        self._room.release()
        self._outbox.put(None)

    def _next(self) -> bytes | None:
        try:
            return next(self._messages, None)
        except Exception as err:  # noqa: BLE001  (gRPC raises a bare Exception when the call is over)
            logger.debug("a stream ended: %s", err)
            without_frames(err)  # gRPC keeps it with the call
            return None

    def _read(self, message: bytes) -> None:
        arrived_s, request_id = time.perf_counter(), ""
        try:
            request = decode_request(message)
            request_id = request.id
            if cancels(request):
                self._cancel(request_id)
                return
            self._check_place()
        except Exception as err:  # noqa: BLE001  (answered, and logged where it is a fault of ours)
            self._outbox.put(_failure(request_id, err))
            self._intake.refused(request_id, err, arrived_s)
            return
        self._start(request, arrived_s)

    def _check_place(self) -> None:
        """Raise where no request is taken; only this thread adds to those that are unanswered."""
        if self._ending:
            raise UnavailableError("shutting down")
        if len(self._unanswered) >= self._limits.max_in_flight:
            raise OverloadedError(f"{self._limits.max_in_flight} requests of this stream are unanswered")

    def _start(self, request: InferRequest, arrived_s: float) -> None:
        self._calm = 0 if self._unanswered or self._last_s > _QUICK_S else self._calm + 1
        inline = self._calm > _CALM and self._calm % _PROBE_EACH != 0
        under = self._intake.take(request, self.client, arrived_s=arrived_s, inline=inline)
        with self._lock:
            self._unanswered.add(under)
        if not under.future.done():
            self._intake.watch(under)
        elif inline:
            self._answer(under)
            return
        under.future.add_done_callback(lambda _: self._ready(under))

    def _ready(self, under: Underway) -> None:
        """Have an ended request answered by the writing thread: this one may be needed to compute."""
        with self._lock:
            if not self._over:
                self._outbox.put(under)
                return
        self._intake.leave(under)
        self._intake.tell(under, _GONE)
        under.let_go()

    def _cancel(self, request_id: str) -> None:
        """Drop the unanswered requests of that id; what computes already is not answered when it ends."""
        self._room.release()
        with self._lock:
            meant = [under for under in self._unanswered if under.id == request_id]
        for under in meant:
            under.drop(_CANCELLED, wanted=False)

    def _write(self) -> None:
        while (ready := self._outbox.get()) is not None:
            if isinstance(ready, Underway):
                self._answer(ready)
            else:
                self._put(ready)
        with self._lock:
            self._over = True
        with suppress(queue.Empty):
            while True:
                if isinstance(left := self._outbox.get_nowait(), Underway):
                    self._ready(left)
        self._on_end(self)
        with self._sending:
            self._send(None)

    def _answer(self, under: Underway) -> None:
        error: BaseException | None = None
        try:
            message = self._encoded(under) if under.wanted else b""
        except Exception as err:  # noqa: BLE001  (answered and logged)
            message = _failure(under.id, err)
            error = without_frames(err)
        with self._sending:
            # Before it is sent: whoever has read the answer may ask again. The stream's end waits for `_sending`.
            self._forget(under)
            if under.wanted:
                self._send(message)
        self._room.release()
        self._last_s = time.perf_counter() - under.arrived_s
        self._intake.tell(under, error if under.wanted else _CANCELLED)
        under.let_go()

    def _forget(self, under: Underway) -> None:
        self._intake.leave(under)
        with self._lock:
            self._unanswered.discard(under)
            if self._ending and not self._unanswered:
                self._outbox.put(None)

    def _put(self, message: bytes) -> None:
        with self._sending:
            self._send(message)
        self._room.release()

    def _encoded(self, under: Underway) -> bytes:
        message = encode_stream_response(StreamResponse(self._intake.answer(under)))
        most = self._limits.max_message_bytes
        if len(message) > most:
            raise OverloadedError(
                f"the answer has {len(message)} bytes; at most {most} are sent: ask for fewer samples"
            )
        return message


def _failure(request_id: str, error: BaseException) -> bytes:
    """Encode a failed request: Triton's clients read the message, ours the status parameter too."""
    if not isinstance(error, CallerError | PeerError):
        logger.error("a request failed", exc_info=error)
    status = outcome_of(error).status
    response = InferResponse("", {}, id=request_id, parameters={STATUS_PARAMETER: status})
    return encode_stream_response(StreamResponse(response, error_message=f"[{status}] {public_text(error)}"))
