"""The upper end of a link: the protocol's calls over gRPC, converted and handed to a DataPlane."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc

from splitnet.deadline import Deadline
from splitnet.errors import (
    CallerError,
    DeadlineExceededError,
    OperatorError,
    OverloadedError,
    PeerError,
    UnavailableError,
    outcome_of,
)
from splitnet.link.dataplane import DataPlane, ModelRepository
from splitnet.link.exchange import StreamExchange
from splitnet.link.status import public_text
from splitnet.protocol import (
    MODEL_INFER,
    MODEL_METADATA,
    MODEL_READY,
    MODEL_STREAM_INFER,
    REPOSITORY_INDEX,
    REPOSITORY_MODEL_LOAD,
    REPOSITORY_MODEL_UNLOAD,
    SERVER_LIVE,
    SERVER_METADATA,
    SERVER_READY,
    SERVICE_NAME,
    Empty,
    InferRequest,
    Method,
    ModelChange,
)

logger = logging.getLogger(__name__)

Request = TypeVar("Request")
Response = TypeVar("Response")

#: Request parameter: how long the caller will wait, milliseconds.
DEADLINE_PARAMETER = "splitnet_deadline_ms"

# A caller of RepositoryModelLoad who states no deadline waits so long; the load itself goes on.
_LONGEST_LOAD_S = 600.0


def deadline_of(request: InferRequest, default_ms: float, call_s: float | None = None) -> Deadline:
    """Return when `request` expires: the least of its parameter, its gRPC deadline and the default.

    Args:
        request: may carry `splitnet_deadline_ms`, a positive number.
        default_ms: this tier's own limit, milliseconds.
        call_s: what gRPC says is left of the call, seconds.
    """
    limits = [default_ms]
    asked = request.parameters.get(DEADLINE_PARAMETER)
    if isinstance(asked, int | float) and not isinstance(asked, bool):
        limits.append(float(asked))
    if call_s is not None:
        limits.append(call_s * 1e3)
    return Deadline.after_ms(max(0.0, min(limits)))


class Service:
    """The handlers of GRPCInferenceService for one DataPlane and its repository."""

    def __init__(
        self,
        dataplane: DataPlane,
        repository: ModelRepository,
        *,
        default_deadline_ms: float,
        max_streams: int,
        max_calls: int,
        max_in_flight: int,
        max_message_bytes: int,
    ) -> None:
        """Bind the handlers.

        Args:
            dataplane: the program behind them.
            repository: of its models.
            default_deadline_ms: the limit of a request that states none, milliseconds.
            max_streams: streams that may be open at once; each holds a thread.
            max_calls: ModelInfer calls that may be unanswered at once; each holds a thread.
            max_in_flight: unanswered requests a stream may have.
            max_message_bytes: largest answer on a stream.
        """
        self._dataplane = dataplane
        self._repository = repository
        self._default_ms = default_deadline_ms
        self._max_streams = max_streams
        self._max_calls = max_calls
        self._calls = threading.BoundedSemaphore(max_calls)
        self._max_in_flight = max_in_flight
        self._max_message_bytes = max_message_bytes
        self._exchanges: set[StreamExchange] = set()
        self._draining = threading.Event()
        self._open_calls = 0
        self._changed = threading.Condition()

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the handler to register with a grpc.Server."""
        plane = self._dataplane
        unary: list[tuple[Method[Any, Any], Callable[[Any, grpc.ServicerContext], Any]]] = [
            (SERVER_LIVE, lambda _request, _context: True),
            (SERVER_READY, lambda _request, _context: plane.ready()),
            (MODEL_READY, lambda request, _context: plane.model_ready(request.name, request.version)),
            (SERVER_METADATA, lambda _request, _context: plane.server_metadata()),
            (MODEL_METADATA, lambda request, _context: plane.model_metadata(request.name, request.version)),
            (MODEL_INFER, self._infer),
            (REPOSITORY_INDEX, lambda request, _context: self._repository.index(request)),
        ]
        changes: list[tuple[Method[ModelChange, Empty], Callable[[Any, grpc.ServicerContext], Empty]]] = [
            (REPOSITORY_MODEL_LOAD, self._load),
            (REPOSITORY_MODEL_UNLOAD, self._unload),
        ]
        served = {method.name: _unary(method, call) for method, call in unary}
        for method, call in changes:
            served[method.name] = _unary(method, call) if self._repository.may_change else _forbidden
        methods: dict[str, Any] = {
            name: grpc.unary_unary_rpc_method_handler(call) for name, call in served.items()
        }
        methods[MODEL_STREAM_INFER.name] = grpc.stream_stream_rpc_method_handler(self._stream)
        return grpc.method_handlers_generic_handler(SERVICE_NAME, methods)

    def drain(self) -> None:
        """Refuse new streams and end the open ones once what is in flight on them is answered."""
        self._draining.set()
        for exchange in list(self._exchanges):
            exchange.drain()

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until no request and no stream is open, and return whether that came within `timeout_s` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open_calls == 0, timeout_s)

    @contextmanager
    def _opened(self) -> Iterator[None]:
        with self._changed:
            self._open_calls += 1
        try:
            yield
        finally:
            with self._changed:
                self._open_calls -= 1
                self._changed.notify_all()

    def _infer(self, request: InferRequest, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        deadline = deadline_of(request, self._default_ms, context.time_remaining())
        if not self._calls.acquire(blocking=False):
            raise OverloadedError(f"{self._max_calls} calls are unanswered already; a stream takes more")
        try:
            with self._opened():
                return _answer(self._dataplane.infer(request, deadline), deadline, context)
        finally:
            self._calls.release()

    def _load(self, change: ModelChange, context: grpc.ServicerContext) -> Empty:
        _answer(self._repository.load(change), _patience(context.time_remaining()), context)
        return Empty()

    def _unload(self, change: ModelChange, _context: grpc.ServicerContext) -> Empty:
        self._repository.unload(change)
        return Empty()

    def _stream(self, messages: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  (gRPC's iterators)
        if self._draining.is_set():
            context.abort(grpc.StatusCode.UNAVAILABLE, "shutting down")
        exchange = StreamExchange(
            self._take, messages, max_in_flight=self._max_in_flight, max_message_bytes=self._max_message_bytes
        )
        with self._changed:
            if has_place := len(self._exchanges) < self._max_streams:
                self._exchanges.add(exchange)
        if not has_place:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{self._max_streams} streams are open already")
        if self._draining.is_set():  # since it was looked at above, before this exchange was there to be drained
            exchange.drain()
        context.add_callback(exchange.abandon)
        try:
            with self._opened():
                yield from exchange.responses()
        finally:
            self._exchanges.discard(exchange)

    def _take(self, request: InferRequest) -> "Future[Any]":
        return self._dataplane.infer(request, deadline_of(request, self._default_ms))


def _patience(call_s: float | None) -> Deadline:
    """How long the call of a load waits, where gRPC says that `call_s` seconds are left of it, or nothing."""
    return Deadline.after_ms(min(call_s if call_s is not None else _LONGEST_LOAD_S, _LONGEST_LOAD_S) * 1e3)


def _forbidden(_message: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(
        grpc.StatusCode.PERMISSION_DENIED,
        "this tier takes no calls to load or unload; set allow_load = true in its configuration",
    )


def _answer(future: "Future[Response]", deadline: Deadline, context: grpc.ServicerContext) -> Response:
    """Wait for `future` as long as anybody asks: a call that was cut must not hold its thread."""
    ended = threading.Event()
    future.add_done_callback(lambda _: ended.set())
    if not context.add_callback(ended.set):
        ended.set()
    if not ended.wait(deadline.remaining_s()):
        raise DeadlineExceededError("no answer within the deadline")
    if not future.done():
        raise UnavailableError("the call was broken off")
    return future.result()


def _unary(
    method: Method[Request, Response], call: Callable[[Request, grpc.ServicerContext], Response]
) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    """Wrap `call`: decode, call, encode, and turn every error into a status that tells nothing of the inside."""

    def serve(message: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return method.encode_response(call(method.decode_request(message), context))
        except Exception as err:
            if isinstance(err, OperatorError):
                logger.error("%s failed: %s", method.name, err)  # noqa: TRY400  # a wrong file, not a wrong program
            elif not isinstance(err, CallerError | PeerError):
                logger.exception("%s failed", method.name)
            context.abort(grpc.StatusCode[outcome_of(err).status], public_text(err))

    return serve
