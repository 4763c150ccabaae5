"""Calls with one request and one answer: errors become statuses, and nobody waits for a caller who is gone."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NoReturn, TypeVar

import grpc

from splitnet.deadline import Deadline
from splitnet.errors import (
    CallerError,
    CancelledError,
    DeadlineExceededError,
    OperatorError,
    PeerError,
    outcome_of,
)
from splitnet.link.status import public_text
from splitnet.protocol import Method

logger = logging.getLogger(__name__)

Request = TypeVar("Request")
Response = TypeVar("Response")


def handler_of(
    method: Method[Request, Response], call: Callable[[Request, grpc.ServicerContext], Response]
) -> Any:  # noqa: ANN401  (gRPC's handlers have no type)
    """Return gRPC's handler for `method`: decode, call, encode."""

    def serve(message: bytes, context: grpc.ServicerContext) -> bytes:
        return method.encode_response(call(method.decode_request(message), context))

    return handler_of_bytes(method.name, serve)


def handler_of_bytes(name: str, call: Callable[[bytes, grpc.ServicerContext], bytes]) -> Any:  # noqa: ANN401
    """Return gRPC's handler for the method `name`, whose errors are statuses that tell nothing of the inside."""

    def serve(message: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return call(message, context)
        except Exception as err:  # noqa: BLE001  (logged, and told as a status)
            break_off(context, name, err)

    return grpc.unary_unary_rpc_method_handler(serve)


def break_off(context: grpc.ServicerContext, name: str, error: Exception) -> NoReturn:
    """End the call of the method `name` with the status of `error`, and log what is a fault of ours."""
    if isinstance(error, OperatorError):
        logger.error("%s failed: %s", name, error)  # a wrong file, not a wrong program
    elif not isinstance(error, CallerError | PeerError):
        logger.error("%s failed", name, exc_info=error)
    context.abort(grpc.StatusCode[outcome_of(error).status], public_text(error))


def await_end(future: "Future[Any]", deadline: Deadline, context: grpc.ServicerContext) -> None:
    """Wait until `future` has ended, as long as anybody asks: a call that was cut must not hold its thread.

    Raises:
        DeadlineExceededError: the deadline has passed.
        CancelledError: the caller has broken off the call.
    """
    if future.done():
        return
    ended = threading.Event()
    future.add_done_callback(lambda _: ended.set())
    if not context.add_callback(ended.set):
        ended.set()
    if not ended.wait(deadline.remaining_s()):
        raise DeadlineExceededError("no answer within the deadline")
    if not future.done():
        raise CancelledError("the caller has broken off the call")
