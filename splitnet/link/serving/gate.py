"""What every call passes before its message is waited for: who asks, and whether that one has a place left."""

import threading
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection

from splitnet.errors import InvalidArgumentError, UnavailableError
from splitnet.link.serving.clients import Places, client_of
from splitnet.link.serving.handlers import break_off
from splitnet.protocol import MODEL_READY, SERVER_LIVE, SERVER_READY

# gRPC holds a thread for a call while its message comes, which may be never. All clients together have 128 calls
# of ModelInfer; one that has them all may still ask how things are, and leaves threads to others.
_CALLS_A_CLIENT = 144
# What whoever balances loads asks, which a tier that ends still answers.
_ASKED_TO_THE_END = {SERVER_LIVE.path, SERVER_READY.path, MODEL_READY.path}


class Gate(grpc.ServerInterceptor):
    """Bounds the calls that one client has open, half-open ones too; streams of inference have their own bound."""

    def __init__(self) -> None:
        self._places = Places(_CALLS_A_CLIENT, "calls")
        self._draining = threading.Event()

    def drain(self) -> None:
        """Refuse what comes from now on, but for questions after health and readiness."""
        self._draining.set()

    def intercept_service(
        self, continuation: Callable[[Any], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:  # noqa: ANN401  (gRPC's handlers have no type)
        """Return the handler of a call, behind this gate where it would hold a thread."""
        handler, name = continuation(handler_call_details), handler_call_details.method
        if handler is None:
            return None
        if self._draining.is_set() and not _is_asked_to_the_end(name):
            return grpc.stream_stream_rpc_method_handler(_refusal(name))
        if handler.unary_unary is not None:
            return grpc.stream_unary_rpc_method_handler(
                self._call(name, handler), response_serializer=handler.response_serializer
            )
        if reflection.SERVICE_NAME in name:
            return grpc.stream_stream_rpc_method_handler(
                self._talk(name, handler), response_serializer=handler.response_serializer
            )
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                _watched(name, handler), response_serializer=handler.response_serializer
            )
        return handler

    def _call(self, name: str, handler: Any) -> Callable[[Iterator[bytes], grpc.ServicerContext], Any]:  # noqa: ANN401
        read, answer = handler.request_deserializer, handler.unary_unary

        def call(messages: Iterator[bytes], context: grpc.ServicerContext) -> Any:  # noqa: ANN401
            client = self._enter(name, context)
            try:
                return answer(_message(name, read, next(messages, b""), context), context)
            finally:
                self._places.leave(client)

        return call

    def _talk(self, name: str, handler: Any) -> Callable[[Iterator[bytes], grpc.ServicerContext], Iterator[Any]]:  # noqa: ANN401
        read, serve = handler.request_deserializer, handler.stream_stream

        def talk(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Any]:
            client = self._enter(name, context)
            try:
                yield from serve((_message(name, read, message, context) for message in messages), context)
            finally:
                self._places.leave(client)

        return talk

    def _enter(self, name: str, context: grpc.ServicerContext) -> str:
        try:
            client = client_of(context).name
            self._places.take(client)
        except Exception as err:  # noqa: BLE001  (logged, and told as a status)
            break_off(context, name, err)
        return client


def _is_asked_to_the_end(name: str) -> bool:
    return name in _ASKED_TO_THE_END or name.startswith(f"/{health.SERVICE_NAME}/")


def _refusal(name: str) -> Callable[[Iterator[bytes], grpc.ServicerContext], Iterator[bytes]]:
    def refuse(_messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        break_off(context, name, UnavailableError("shutting down"))

    return refuse


def _watched(name: str, handler: Any) -> Callable[..., Any]:  # noqa: ANN401
    """Return what serves a watch of health: gRPC's own, which holds no thread and says so by an attribute."""
    read, serve = handler.request_deserializer, handler.unary_stream

    @wraps(serve)
    def watch(message: bytes, context: grpc.ServicerContext, *send: Any) -> Any:  # noqa: ANN401
        return serve(_message(name, read, message, context), context, *send)

    return watch


def _message(name: str, read: Any, message: bytes, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
    """Return a call's message, by gRPC's own reader where it has one, whose failure would be INTERNAL."""
    if read is None:
        return message
    try:
        return read(message)
    except Exception:  # noqa: BLE001  (of a library's own kind)
        break_off(context, name, InvalidArgumentError(f"{name}: expected a well-formed message"))
