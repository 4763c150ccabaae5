"""Bare TCP with several messages under way: a process that sends them back, and a connection to it."""

import multiprocessing
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from multiprocessing.connection import Connection

_HOST = "127.0.0.1"


@contextmanager
def tcp_echo(message: bytes) -> Iterator[Callable[[], "Future[None]"]]:
    """Start the process, and yield a call that sends `message` and promises its echo; messages have no header."""
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(there, len(message)), daemon=True)
    process.start()
    there.close()
    try:
        with socket.create_connection((_HOST, here.recv())) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield _sender(connection, message)
            connection.shutdown(socket.SHUT_RDWR)
    finally:
        here.close()
        process.join(5.0)
        process.kill()


def _sender(connection: socket.socket, message: bytes) -> Callable[[], "Future[None]"]:
    waiting: queue.SimpleQueue[Future[None]] = queue.SimpleQueue()

    def receive() -> None:
        buffer = memoryview(bytearray(len(message)))
        while _filled(connection, buffer):
            waiting.get().set_result(None)

    threading.Thread(target=receive, daemon=True).start()

    def send() -> "Future[None]":
        future: Future[None] = Future()
        waiting.put(future)
        connection.sendall(message)
        return future

    return send


def _serve(pipe: Connection, size_bytes: int) -> None:
    """Echo one connection's messages until it is closed."""
    with socket.create_server((_HOST, 0)) as listener:
        pipe.send(listener.getsockname()[1])
        connection, _ = listener.accept()
    buffer = memoryview(bytearray(size_bytes))
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while _filled(connection, buffer):
            connection.sendall(buffer)


def _filled(connection: socket.socket, buffer: memoryview) -> bool:
    """Receive one message; False once the other end has closed."""
    have = 0
    while have < len(buffer):
        read = connection.recv_into(buffer[have:])
        if not read:
            return False
        have += read
    return True
