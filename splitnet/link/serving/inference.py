"""ModelInfer and ModelStreamInfer: who finds a place, and what is open."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from splitnet.errors import OverloadedError, SplitNetError, UnavailableError
from splitnet.link.serving.clients import Client, Places, client_of
from splitnet.link.serving.exchange import StreamExchange
from splitnet.link.serving.handlers import await_end, break_off
from splitnet.link.serving.intake import Intake
from splitnet.link.serving.limits import Limits
from splitnet.link.serving.streaming import Send
from splitnet.link.serving.underway import Underway
from splitnet.protocol import MODEL_INFER, MODEL_STREAM_INFER, InferRequest, InferResponse


class Inference:
    """The calls that compute, within the limits."""

    def __init__(self, intake: Intake, limits: Limits) -> None:
        self._intake = intake
        self._limits = limits
        self._calls = threading.BoundedSemaphore(limits.max_calls)
        self._streams = Places(limits.quota.streams, "streams")
        self._exchanges: set[StreamExchange] = set()
        self._draining = threading.Event()
        self._open = 0
        self._changed = threading.Condition()

    def drain(self) -> None:
        """Refuse new streams and end the open ones once what is in flight on them is answered."""
        self._draining.set()
        for exchange in list(self._exchanges):
            exchange.drain()

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until no request and no stream is open, and return whether that came within `timeout_s` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open == 0, timeout_s)

    def call(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """Answer one call, whose message nobody has read yet.

        Raises:
            Exception: what the request ended with.
        """
        arrived_s = time.perf_counter()
        try:
            request = MODEL_INFER.decode_request(message)
        except SplitNetError as err:
            self._intake.refused("", err, arrived_s)
            raise
        return MODEL_INFER.encode_response(self._infer(request, context, arrived_s))

    def stream(self, messages: Iterator[bytes], context: grpc.ServicerContext, send: Send) -> None:
        """Serve one stream until its end."""
        try:
            with self._placed(client_of(context), messages, send) as exchange:
                context.add_callback(exchange.abandon)
                exchange.serve()
        except Exception as err:  # noqa: BLE001  (logged, and told as a status)
            break_off(context, MODEL_STREAM_INFER.name, err)

    def _infer(self, request: InferRequest, context: grpc.ServicerContext, arrived_s: float) -> InferResponse:
        if self._draining.is_set():  # since it came
            raise UnavailableError("shutting down")
        if not self._calls.acquire(blocking=False):
            full = OverloadedError(f"{self._limits.max_calls} calls are unanswered already; a stream takes more")
            self._intake.refused(request.id, full, arrived_s)
            raise full
        try:
            with self._opened():
                under = self._intake.take(
                    request,
                    client_of(context),
                    arrived_s=arrived_s,
                    call_s=context.time_remaining(),
                    inline=True,
                )
                return self._answer(under, context)
        finally:
            self._calls.release()

    def _answer(self, under: Underway, context: grpc.ServicerContext) -> InferResponse:
        error: Exception | None = None
        try:
            try:
                await_end(under.future, under.deadline, context)
            except SplitNetError as err:
                under.drop(err, wanted=False)
                raise
            return self._intake.answer(under)
        except Exception as err:
            error = err
            raise
        finally:
            self._intake.leave(under)
            self._intake.tell(under, error)
            under.let_go()
            error = None  # its traceback holds this frame

    @contextmanager
    def _placed(self, client: Client, messages: Iterator[bytes], send: Send) -> Iterator[StreamExchange]:
        """Find a place for a stream until the block is left.

        Raises:
            UnavailableError: shutting down.
            OverloadedError: there is none, for anybody or for this client.
        """
        if self._draining.is_set():
            raise UnavailableError("shutting down")
        exchange = StreamExchange(
            self._intake, client, messages=messages, send=send, limits=self._limits, on_end=self._leave
        )
        with self._changed:
            if len(self._exchanges) >= self._limits.max_streams:
                raise OverloadedError(f"{self._limits.max_streams} streams are open already")
            self._streams.take(client.name)
            self._exchanges.add(exchange)
        if self._draining.is_set():  # since it was looked at above, before this exchange was there to be drained
            exchange.drain()
        try:
            with self._opened():
                yield exchange
        finally:
            self._leave(exchange)

    def _leave(self, exchange: StreamExchange) -> None:
        """Give the place of a stream back, if it has one still."""
        with self._changed:
            if exchange in self._exchanges:
                self._exchanges.discard(exchange)
                self._streams.leave(exchange.client.name)

    @contextmanager
    def _opened(self) -> Iterator[None]:
        with self._changed:
            self._open += 1
        try:
            yield
        finally:
            with self._changed:
                self._open -= 1
                self._changed.notify_all()
