"""gRPC's handler of a bidirectional stream whose answers are sent by whichever thread has them."""

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import grpc

logger = logging.getLogger(__name__)

#: Sends one message and waits until gRPC has taken it, or the caller is gone; None ends the stream.
Send = Callable[[bytes | None], None]
#: Serves one stream until its end: the caller's messages, the call, and how to answer.
Serve = Callable[[Iterator[bytes], grpc.ServicerContext, Send], None]

# How often a thread that waits to send looks whether the caller is still there.
_LOOK_S = 1.0


def stream_handler(serve: Serve) -> Any:  # noqa: ANN401  (gRPC's handlers have no type)
    """Return a handler that runs `serve` on gRPC's thread.

    Usually gRPC's thread takes answers from an iterator, hence from a queue: one more thread to wait for. With
    `experimental_non_blocking` it hands out a function instead (`grpc/_server.py` since grpcio 1.23). A grpcio
    without it calls with two arguments, and is given an iterator.
    """

    def handle(
        messages: Iterator[bytes], context: grpc.ServicerContext, send: Send | None = None
    ) -> Iterator[bytes] | None:
        if send is None:
            return _iterated(serve, messages, context)
        serve(messages, context, send)
        return None

    handle.experimental_non_blocking = True  # type: ignore[attr-defined]  # where gRPC looks for it
    return grpc.stream_stream_rpc_method_handler(handle)


def _iterated(serve: Serve, messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    """Run `serve` on a thread of its own, and yield what it sends."""
    waiting: queue.Queue[bytes | None] = queue.Queue(1)
    gone = threading.Event()
    context.add_callback(gone.set)

    def send(message: bytes | None) -> None:
        while not gone.is_set():
            with suppress(queue.Full):
                waiting.put(message, timeout=_LOOK_S)
                return

    def run() -> None:
        try:
            serve(messages, context, send)
        except Exception as err:  # noqa: BLE001  (gRPC raises a bare Exception to break a call off)
            logger.debug("a stream ended: %s", err)
        finally:
            send(None)

    threading.Thread(target=run, name="stream-reader", daemon=True).start()
    while not gone.is_set():
        with suppress(queue.Empty):
            if (message := waiting.get(timeout=_LOOK_S)) is None:
                return
            yield message
