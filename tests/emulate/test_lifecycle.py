"""From listening to closing: the event loop's proxy, the limit on connections, the thread's end."""

import asyncio
import gc
import socket
import threading
import warnings
from contextlib import ExitStack, suppress

import pytest

from splitnet.emulate import LinkShape, LinkStats, Proxy, ShapedLink
from splitnet.emulate.faults import Refuse
from splitnet.errors import OperatorError
from tests.emulate.peers import TIMEOUT_S, Address, connect, echo, receive, serving

UNSHAPED = LinkShape()
QUICK = LinkShape(bandwidth_bps=400e6, delay_s=0.002, jitter_s=0.002)


async def hold(address: Address, number: int) -> list[bytes]:
    """Open connections one after the other and ask each for an echo; none comes from one that is closed."""
    heard, writers = [], []
    for _ in range(number):
        reader, writer = await asyncio.open_connection(*address)
        writers.append(writer)
        writer.write(b"x")
        try:
            heard.append(await reader.read(1))
        except ConnectionResetError:  # closed before what was sent had been read
            heard.append(b"")
    for writer in writers:
        writer.close()
        with suppress(ConnectionResetError):
            await writer.wait_closed()
    return heard


def test_connections_beyond_the_limit_are_closed() -> None:
    async def run(target: Address) -> list[bytes]:
        async with Proxy(target, UNSHAPED, max_connections=2) as proxy:
            return await hold(proxy.address, 3)

    with serving(echo) as target:
        assert asyncio.run(run(target)) == [b"x", b"x", b""]


@pytest.mark.parametrize("turns", range(6))
def test_who_comes_while_the_proxy_closes_is_sent_away(turns: int) -> None:
    """Asyncio accepts, calls the factory and hands the socket over in turns of its own: none may fall between."""

    async def run(target: Address, late: list[socket.socket]) -> None:
        async with Proxy(target, UNSHAPED) as proxy:
            reader, writer = await asyncio.open_connection(*proxy.address)
            writer.write(b"x")
            assert await reader.read(1) == b"x"
            late += [socket.create_connection(proxy.address, TIMEOUT_S) for _ in range(3)]
            for _ in range(turns):
                await asyncio.sleep(0)
        writer.close()

    late: list[socket.socket] = []
    gc.collect()  # what others left open is none of ours
    with serving(echo) as target, warnings.catch_warnings(record=True) as left_open:
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(run(target, late))
        gc.collect()
    for each in late:
        each.close()
    assert [str(each.message) for each in left_open] == []


@pytest.mark.parametrize("turns", range(6))
def test_who_comes_while_the_proxy_begins_to_refuse_is_served_or_reset(turns: int) -> None:
    async def run(target: Address) -> list[bytes]:
        async with Proxy(target, UNSHAPED) as proxy:
            late = [socket.create_connection(proxy.address, TIMEOUT_S) for _ in range(3)]
            for _ in range(turns):
                await asyncio.sleep(0)
            await proxy.inject(Refuse())
            return await asyncio.gather(*(asyncio.to_thread(ask, each) for each in late))

    def ask(client: socket.socket) -> bytes:
        with client:
            try:
                client.sendall(b"x")
                return client.recv(1)
            except ConnectionError:
                return b""

    with serving(echo) as target:
        assert set(asyncio.run(run(target))) <= {b"x", b""}


def test_the_proxy_serves_an_event_loop_of_its_callers() -> None:
    async def run(target: Address) -> tuple[list[bytes], LinkStats]:
        async with Proxy(target, LinkShape(20e6, 0.002), listen=("localhost", 0), seed=3) as proxy:
            heard = await hold(proxy.address, 3)
            proxy.reshape(UNSHAPED)
            return heard + await hold(proxy.address, 2), proxy.stats

    with serving(echo) as target:
        assert asyncio.run(run(target)) == ([b"x"] * 5, LinkStats(5, 5, 5))


def test_neither_socket_waits_to_fill_packets() -> None:
    async def run(target: Address) -> list[int]:
        async with Proxy(target, UNSHAPED) as proxy:
            reader, writer = await asyncio.open_connection(*proxy.address)
            writer.write(b"x")
            assert await reader.read(1) == b"x"
            (connection,) = proxy._connections
            found = []
            for endpoint in (connection.client, connection.server):
                assert endpoint._transport is not None
                sock: socket.socket = endpoint._transport.get_extra_info("socket")
                found.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()
            await writer.wait_closed()
            return found

    with serving(echo) as target:
        assert asyncio.run(run(target)) == [1, 1]


def test_finished_connections_are_forgotten() -> None:
    async def run(target: Address) -> int:
        async with Proxy(target, QUICK, max_connections=1) as proxy:
            for number in range(3):
                heard = await hold(proxy.address, 1)
                assert heard == [b"x"], f"connection {number} found the one before it still open"
                async with asyncio.timeout(TIMEOUT_S):
                    await asyncio.gather(*(each.closed for each in proxy._connections))
            return len(proxy._connections)

    with serving(echo) as target:
        assert asyncio.run(run(target)) == 0


def link_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "shaped-link"]


def test_closing_the_link_ends_its_connections_threads_and_listener() -> None:
    before = link_threads()
    with serving(echo) as target, ExitStack() as stack:
        link = stack.enter_context(ShapedLink(target, QUICK))
        with connect(link.address) as client:
            client.sendall(b"x")
            receive(client, 1)
            stack.close()
            assert client.recv(1) == b""
        assert link_threads() == before
        with pytest.raises(ConnectionRefusedError):
            connect(link.address)


def test_an_address_in_use_is_the_operators_error() -> None:
    before = link_threads()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        link = ShapedLink(("127.0.0.1", 1), UNSHAPED, listen=taken.getsockname())
        with pytest.raises(OperatorError, match=r"cannot listen on 127\.0\.0\.1:.*in use"):
            link.__enter__()
    assert link_threads() == before
