"""Ports of the loopback interface for programs that are told which to listen at."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

_LOOPBACK = "127.0.0.1"


@contextmanager
def reserved_address() -> Iterator[tuple[str, int]]:
    """An address that is given to nobody else, and at which one server after the other may listen.

    Nobody can connect while none does. The port of a server that has ended is anybody's otherwise: the next one
    on port 0 may be given it, and so may a client that tries to connect to it, which is then its own peer. That
    may listen here which sets SO_REUSEADDR, as gRPC's servers do.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((_LOOPBACK, 0))
        yield held.getsockname()


def free_port() -> int:
    """Return a port that nobody listens at now."""
    with reserved_address() as (_, port):
        return port
