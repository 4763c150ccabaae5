"""What a hop is held against: a process that sends bytes back, over bare TCP and over a plain gRPC stream."""

import multiprocessing
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

import grpc

from benchmarks.harness import MAX_MESSAGE_BYTES
from splitnet.link.options import channel_options, server_options

_HOST = "127.0.0.1"
_SERVICE, _METHOD = "echo.Echo", "Echo"
_LENGTH = struct.Struct("<Q")

#: Sends a message and returns what came back, valid until the next call.
Send = Callable[[bytes], memoryview]


@contextmanager
def _over_tcp(port: int) -> Iterator[Send]:
    buffer = memoryview(bytearray(MAX_MESSAGE_BYTES))
    with socket.create_connection((_HOST, port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def send(message: bytes) -> memoryview:
            sent = connection.sendmsg((_LENGTH.pack(len(message)), message))
            connection.sendall(memoryview(message)[sent - _LENGTH.size :])
            return _receive(connection, buffer)[_LENGTH.size :]

        yield send


@contextmanager
def _over_grpc(port: int) -> Iterator[Send]:
    outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    with grpc.insecure_channel(f"{_HOST}:{port}", options=channel_options(MAX_MESSAGE_BYTES)) as channel:
        stream: Any = channel.stream_stream(f"/{_SERVICE}/{_METHOD}")
        answers = stream(iter(outbox.get, None))

        def send(message: bytes) -> Any:  # noqa: ANN401  (what grpc hands out)
            outbox.put(message)
            return next(answers)

        yield send
        outbox.put(None)


@contextmanager
def echo_peer() -> Iterator[tuple[Send, Send]]:
    """Start the process, connect to it over bare TCP and over gRPC, and stop it when left."""
    spawning = multiprocessing.get_context("spawn")  # after a fork, grpc is undefined
    here, there = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    there.close()
    try:
        tcp_port, grpc_port = here.recv()
        with _over_tcp(tcp_port) as tcp, _over_grpc(grpc_port) as stream:
            yield tcp, stream
    finally:
        here.close()
        process.join(5.0)
        process.kill()


def _serve(pipe: Connection) -> None:
    """Serve both ways until the other end of `pipe` is closed, also by that process's death."""
    listener = socket.create_server((_HOST, 0))
    threading.Thread(target=_echo_tcp, args=(listener,), daemon=True).start()
    server = grpc.server(ThreadPoolExecutor(2), options=server_options(MAX_MESSAGE_BYTES))
    echo: Any = grpc.stream_stream_rpc_method_handler(lambda messages, _context: messages)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: echo}),))
    grpc_port = server.add_insecure_port(f"{_HOST}:0")
    server.start()
    pipe.send((listener.getsockname()[1], grpc_port))
    with suppress(EOFError, KeyboardInterrupt):
        pipe.recv()
    server.stop(0).wait(1.0)


def _echo_tcp(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = memoryview(bytearray(MAX_MESSAGE_BYTES))
    while message := _receive(connection, buffer):
        connection.sendall(message)


def _receive(connection: socket.socket, buffer: memoryview) -> memoryview:
    """Receive one message, its length included; empty once the other end has closed."""
    have, size = 0, _LENGTH.size
    while have < size:
        read = connection.recv_into(buffer[have:])
        if not read:
            return buffer[:0]
        have += read
        if have >= _LENGTH.size:
            size = _LENGTH.size + _LENGTH.unpack_from(buffer)[0]
    return buffer[:size]
