"""What a hop is held against: a process that sends bytes back, over bare TCP and over a plain gRPC stream."""

import multiprocessing
import queue
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection

import grpc

from benchmarks.harness import MAX_MESSAGE_BYTES
from splitnet.link.options import channel_options, server_options

_HOST = "127.0.0.1"
_LENGTH = struct.Struct("<Q")


class TcpEcho:
    """The lower end of a bare TCP connection; each message is its length and its bytes."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((_HOST, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(MAX_MESSAGE_BYTES))

    def round_trip(self, message: bytes) -> memoryview:
        """Send `message` and return what came back, valid until the next call."""
        self._socket.sendall(_LENGTH.pack(len(message)) + message)
        return _receive(self._socket, self._buffer)[_LENGTH.size :]

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class GrpcEcho:
    """The lower end of a plain gRPC stream of bytes."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.insecure_channel(f"{_HOST}:{port}", options=channel_options(MAX_MESSAGE_BYTES))
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._stream = self._channel.stream_stream("/echo.Echo/Echo")(iter(self._outbox.get, None))

    def round_trip(self, message: bytes) -> bytes:
        """Send `message` and return what came back."""
        self._outbox.put(message)
        answer: bytes = next(self._stream)
        return answer

    def close(self) -> None:
        """End the stream and close the channel."""
        self._outbox.put(None)
        self._channel.close()


@contextmanager
def echo_peer() -> Iterator[tuple[TcpEcho, GrpcEcho]]:
    """Start the process, connect to it in both ways, and stop it when left."""
    spawning = multiprocessing.get_context("spawn")  # after a fork, grpc is undefined
    here, there = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    there.close()
    try:
        tcp_port, grpc_port = here.recv()
        with closing(TcpEcho(tcp_port)) as tcp, closing(GrpcEcho(grpc_port)) as stream:
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
    echo = grpc.stream_stream_rpc_method_handler(lambda messages, _context: messages)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("echo.Echo", {"Echo": echo}),))
    grpc_port = server.add_insecure_port(f"{_HOST}:0")
    server.start()
    pipe.send((listener.getsockname()[1], grpc_port))
    try:
        pipe.recv()
    except EOFError:
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
