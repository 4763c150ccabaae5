"""Both ends of a link, and a data plane between them that does as the test says."""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from types import MappingProxyType
from typing import Any

import grpc
import numpy as np

from splitnet.config import LinkConfig
from splitnet.deadline import Deadline
from splitnet.errors import NotFoundError
from splitnet.link import TierServer, Upstreams
from splitnet.protocol import (
    MODEL_INFER,
    MODEL_STREAM_INFER,
    SERVER_METADATA,
    SERVICE_NAME,
    IndexEntry,
    IndexRequest,
    InferRequest,
    InferResponse,
    ModelChange,
    ModelConfig,
    ModelMetadata,
    ServerMetadata,
    StreamResponse,
    decode_response,
    decode_stream_response,
)

TIMEOUT_S = 20.0
MAX_MESSAGE_BYTES = 1 << 20
Address = tuple[str, int]
Held = tuple[InferRequest, Deadline, "Future[InferResponse]"]


class Plane:
    """A data plane that hands every request to the test, or to `answer`, and a repository that does the same."""

    def __init__(
        self, answer: Callable[[InferRequest], InferResponse] | None = None, *, may_change: bool = True
    ) -> None:
        self.may_change = may_change
        self.changes: queue.SimpleQueue[tuple[ModelChange, Future[None]]] = queue.SimpleQueue()
        self.held: queue.SimpleQueue[Held] = queue.SimpleQueue()
        self.terms: queue.SimpleQueue[tuple[int, bool]] = queue.SimpleQueue()
        self._answer = answer

    def ready(self) -> bool:
        return True

    def server_metadata(self) -> ServerMetadata:
        return ServerMetadata("plane", "1", ("model_stream_infer",))

    def model_ready(self, name: str, version: str) -> bool:
        return (name, version) == ("m", "1")

    def model_metadata(self, name: str, version: str) -> ModelMetadata:
        raise NotFoundError(f"model {name!r} {version!r} is not served here")

    def model_config(self, name: str, version: str) -> ModelConfig:
        return ModelConfig.of(self.model_metadata(name, version), max_batch=8, versions=2)

    def infer(
        self,
        request: InferRequest,
        deadline: Deadline,
        *,
        priority: int = 0,
        inline: bool = False,
    ) -> "Future[InferResponse]":
        self.terms.put((priority, inline))
        future: Future[InferResponse] = Future()
        if self._answer is None:
            self.held.put((request, deadline, future))
        else:
            future.set_result(self._answer(request))
        return future

    def index(self, request: IndexRequest) -> tuple[IndexEntry, ...]:
        return (IndexEntry("m", "1", "READY", repr(request)),)

    def load(self, change: ModelChange) -> "Future[None]":
        future: Future[None] = Future()
        self.changes.put((change, future))
        return future

    def unload(self, change: ModelChange) -> None:
        raise NotFoundError(f"nothing to unload of {change.model!r}")

    def next(self) -> Held:
        """Return the next request that came, its deadline, and the future that answers it."""
        return self.held.get(timeout=TIMEOUT_S)


def ask(value: float = 0.0, **fields: Any) -> InferRequest:
    return InferRequest("m", {"x": np.array([value])}, **fields)


def echo(request: InferRequest) -> InferResponse:
    return InferResponse(request.model_name, request.tensors, "1", request.id)


def raises(error: Exception) -> Callable[[InferRequest], InferResponse]:
    """Return an answer that fails."""

    def answer(_: InferRequest) -> InferResponse:
        raise error

    return answer


def value_of(future: "Future[InferResponse]") -> float:
    """Return what came back."""
    return float(future.result(TIMEOUT_S).tensors["x"][0])


def started(plane: Plane, *, listen: Address = ("127.0.0.1", 0), **limits: Any) -> TierServer:
    defaults: dict[str, Any] = {
        "max_message_bytes": MAX_MESSAGE_BYTES,
        "default_deadline_ms": TIMEOUT_S * 1e3,
        "max_streams": 4,
        "max_in_flight": 64,
    }
    server = TierServer(plane, plane, listen=listen, **(defaults | limits))
    server.start()
    return server


@contextmanager
def serving(plane: Plane, **limits: Any) -> Iterator[TierServer]:
    server = started(plane, **limits)
    try:
        yield server
    finally:
        server.stop(0.0)


@contextmanager
def linked(
    *addresses: Address, window: int = 64, max_message_bytes: int = MAX_MESSAGE_BYTES, **options: Any
) -> Iterator[Upstreams]:
    """A link to one address or several; settings of LinkConfig are among the options."""
    given = {name: options.pop(name) for name in list(options) if name in LinkConfig.model_fields}
    # Nobody is slow to connect but a busy machine.
    settings = LinkConfig(**({"connect_ms": TIMEOUT_S * 1e3} | given))
    link = Upstreams(
        addresses, max_message_bytes=max_message_bytes, window=window, settings=settings, seed=0, **options
    )
    with closing(link):
        yield link


def in_thread(work: Callable[[], object]) -> "Future[object]":
    """Run `work` in a thread, and promise its end."""
    ended: Future[object] = Future()

    def run() -> None:
        try:
            ended.set_result(work())
        except BaseException as err:  # noqa: BLE001  (raised again where the future is read)
            ended.set_exception(err)

    threading.Thread(target=run, daemon=True).start()
    return ended


@contextmanager
def foreign(
    talk: Callable[[Iterator[bytes]], Iterator[bytes]] | None = None,
    calls: Mapping[str, Callable[[bytes], bytes] | grpc.StatusCode] = MappingProxyType({}),
    *,
    streams: bool = True,
) -> Iterator[Address]:
    """A server of somebody else, which answers each stream as `talk` does, and single calls or a status by name.

    Where `streams`, it says among its extensions that it streams as Triton does.
    """
    known = ServerMetadata("foreign", "1", ("model_stream_infer",) if streams else ())
    answers = {SERVER_METADATA.name: lambda _: SERVER_METADATA.encode_response(known), **calls}
    methods: dict[str, Any] = {name: _unary_handler(answer) for name, answer in answers.items()}
    if talk is not None:
        methods[MODEL_STREAM_INFER.name] = grpc.stream_stream_rpc_method_handler(
            lambda messages, _: talk(messages)
        )
    with ThreadPoolExecutor(4) as workers:
        server = grpc.server(workers)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE_NAME, methods),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield ("127.0.0.1", port)
        finally:
            server.stop(None).wait(TIMEOUT_S)


def _unary_handler(answer: Callable[[bytes], bytes] | grpc.StatusCode) -> Any:
    def serve(message: bytes, context: grpc.ServicerContext) -> bytes:
        return context.abort(answer, "refused") if isinstance(answer, grpc.StatusCode) else answer(message)

    return grpc.unary_unary_rpc_method_handler(serve)


def soon() -> Deadline:
    """A deadline that no test should meet."""
    return Deadline.after_ms(TIMEOUT_S * 1e3)


@contextmanager
def dialled(address: Address) -> Iterator[grpc.Channel]:
    """A bare gRPC channel, on which any bytes can be sent."""
    options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"{address[0]}:{address[1]}", options=options) as channel:
        yield channel


def unary(channel: grpc.Channel, path: str) -> Any:
    """Return a call that takes and gives bytes."""
    made: Any = channel.unary_unary(path)
    return made


def call(channel: grpc.Channel, message: bytes, *, timeout_s: float = TIMEOUT_S) -> InferResponse:
    """Call ModelInfer with any bytes."""
    reply: bytes = unary(channel, MODEL_INFER.path)(message, timeout=timeout_s, wait_for_ready=True)
    return decode_response(reply)


class Conversation:
    """ModelStreamInfer with any bytes: send when you like, receive what has come."""

    def __init__(self, channel: grpc.Channel, *, timeout_s: float = TIMEOUT_S) -> None:
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.taken = 0
        self._changed = threading.Condition()
        method: Any = channel.stream_stream(MODEL_STREAM_INFER.path)
        self.call = method(self._messages(), timeout=timeout_s, wait_for_ready=True)

    def _messages(self) -> Iterator[bytes]:
        while (message := self._outbox.get()) is not None:
            with self._changed:
                self.taken += 1
                self._changed.notify_all()
            yield message

    def takes(self, count: int, *, within_s: float) -> bool:
        """Whether gRPC takes so many messages from us in time: it stops when the server stops reading."""
        with self._changed:
            return self._changed.wait_for(lambda: self.taken >= count, within_s)

    def send(self, message: bytes) -> None:
        self._outbox.put(message)

    def receive(self) -> StreamResponse:
        """Return the next response; raises grpc.RpcError or StopIteration at the stream's end."""
        return decode_stream_response(next(self.call))

    def end(self) -> None:
        """Say that nothing more comes."""
        self._outbox.put(None)


def called(channel: grpc.Channel, message: bytes) -> tuple[str, str]:
    """Send a message by itself, and return the name of the status and what it says."""
    try:
        call(channel, message)
    except grpc.RpcError as err:
        return err.code().name, err.details() or ""
    return "OK", ""


def told(talk: Conversation, message: bytes) -> tuple[str, str]:
    """Send a message on a stream, and return the name of the status and what it says."""
    talk.send(message)
    answer = talk.receive()
    return str(answer.response.parameters.get("splitnet_status", "OK")), answer.error_message
