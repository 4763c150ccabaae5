"""Real TCP peers in threads, and what the tests do with them."""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Address = tuple[str, int]
Handler = Callable[[socket.socket], None]

TIMEOUT_S = 60.0


@contextmanager
def serving(handler: Handler) -> Iterator[Address]:
    """Serve each connection in a thread; end them all on leaving."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(TIMEOUT_S)
    threads: list[threading.Thread] = []

    def handle(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(TIMEOUT_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            handler(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=handle, args=(connection,)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield listener.getsockname()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join(TIMEOUT_S)
        listener.close()
        for thread in threads:
            thread.join(TIMEOUT_S)
        assert not any(thread.is_alive() for thread in threads)


def connect(address: Address) -> socket.socket:
    """Connect without Nagle's algorithm."""
    client = socket.create_connection(address, TIMEOUT_S)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def receive(sock: socket.socket, size_bytes: int) -> bytes:
    """Receive exactly `size_bytes`."""
    parts = bytearray()
    while len(parts) < size_bytes:
        part = sock.recv(min(1 << 18, size_bytes - len(parts)))
        assert part, f"the connection ended after {len(parts)} of {size_bytes} bytes"
        parts += part
    return bytes(parts)


def receive_all(sock: socket.socket) -> bytes:
    """Receive until the peer's half-close."""
    parts = bytearray()
    while part := sock.recv(1 << 18):
        parts += part
    return bytes(parts)


def echo(connection: socket.socket) -> None:
    """Send everything back, then half-close."""
    while part := connection.recv(1 << 18):
        connection.sendall(part)


def discard(connection: socket.socket) -> None:
    """Read everything, however the connection ends."""
    with suppress(ConnectionResetError):
        receive_all(connection)


def push(sock: socket.socket, size_bytes: int, *, at_least: int = 0) -> int:
    """Send until nothing more is taken for half a second, or longer before `at_least` was; return how much was."""
    sock.settimeout(0)
    sent = 0
    while sent < size_bytes and select.select([], [sock], [], 0.5 if sent >= at_least else TIMEOUT_S)[1]:
        sent += sock.send(bytes(min(1 << 16, size_bytes - sent)))
    sock.settimeout(TIMEOUT_S)
    return sent


class Sink:
    """Reads everything, notes when the last byte of each connection came, and confirms with one byte."""

    def __init__(self) -> None:
        self.finished_s: list[float] = []
        self.received_bytes: list[int] = []

    def __call__(self, connection: socket.socket) -> None:
        size = last_s = 0.0
        while part := connection.recv(1 << 18):
            size += len(part)
            last_s = time.perf_counter()
        self.finished_s.append(last_s)
        self.received_bytes.append(int(size))
        connection.sendall(b"k")


def source(size_bytes: int) -> Handler:
    """Return a handler that sends so many bytes after the client's first byte, then half-closes."""

    def send(connection: socket.socket) -> None:
        receive(connection, 1)
        connection.sendall(bytes(size_bytes))
        connection.shutdown(socket.SHUT_WR)
        receive_all(connection)

    return send
