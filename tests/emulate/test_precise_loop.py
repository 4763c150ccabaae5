import asyncio
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from splitnet.emulate import new_event_loop

WAIT_S = 0.0033  # epoll_wait counts whole milliseconds: it would return after 4 ms
FINE_S = 0.0004


async def lateness_s() -> float:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[float] = loop.create_future()
    due_s = loop.time() + WAIT_S
    loop.call_at(due_s, lambda: done.set_result(loop.time()))
    return await done - due_s


def test_timers_are_finer_than_a_millisecond_and_never_early() -> None:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        late = [runner.run(lateness_s()) for _ in range(50)]
        while min(late) >= FINE_S and len(late) < 1000:  # the machine is busy
            late.append(runner.run(lateness_s()))
    assert min(late) > -1e-6
    assert min(late) < FINE_S


async def wait_for_a_byte(reader: socket.socket, writer: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    loop.call_later(0.01, writer.send, b"x")
    async with asyncio.timeout(5):
        return await loop.sock_recv(reader, 1)


def test_sockets_wake_it_while_it_waits_for_a_timer() -> None:
    reader, writer = socket.socketpair()
    with reader, writer, asyncio.Runner(loop_factory=new_event_loop) as runner:
        reader.settimeout(0)
        assert runner.run(wait_for_a_byte(reader, writer)) == b"x"


@contextmanager
def descriptors_in_use(count: int) -> Iterator[None]:
    """Hold so many descriptors open; where the usual limit of 1,024 forbids it, raise that meanwhile."""
    limits = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + 1024  # what else this process has open
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            pytest.skip(f"a process may open {hard} files here, and this takes {needed}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    spare: list[int] = []
    try:
        spare.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(count))
        yield
    finally:
        for descriptor in spare:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_it_works_where_select_does_not_reach() -> None:
    with descriptors_in_use(1030), asyncio.Runner(loop_factory=new_event_loop) as runner:
        late = [runner.run(lateness_s()) for _ in range(5)]
    assert -1e-6 < min(late) < 0.05
