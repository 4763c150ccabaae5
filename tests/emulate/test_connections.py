"""What a connection through the proxy keeps of TCP: bytes, half-close, resets, and bounds."""

import asyncio
import queue
import random
import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.emulate import LinkShape, LinkStats, Proxy, ShapedLink
from splitnet.errors import OperatorError
from tests.emulate.peers import (
    TIMEOUT_S,
    Address,
    connect,
    discard,
    echo,
    receive,
    receive_all,
    serving,
)

UNSHAPED = LinkShape()
QUICK = LinkShape(bandwidth_bps=400e6, delay_s=0.002, jitter_s=0.002)


@pytest.fixture(scope="module", params=[UNSHAPED, QUICK], ids=["unshaped", "jitter"])
def echo_link(request: pytest.FixtureRequest) -> Iterator[ShapedLink]:
    with serving(echo) as target, ShapedLink(target, request.param) as link:
        yield link


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def assert_reset(address: Address) -> None:
    with pytest.raises(ConnectionResetError), connect(address) as client:
        client.recv(1)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 200_000), max_size=8), seed=st.integers(0, 2**32))
def test_bytes_come_back_unaltered(echo_link: ShapedLink, sizes: list[int], seed: int) -> None:
    chunks = [random.Random(seed + i).randbytes(size) for i, size in enumerate(sizes)]  # noqa: S311

    def send() -> None:
        for chunk in chunks:
            client.sendall(chunk)
        client.shutdown(socket.SHUT_WR)

    with connect(echo_link.address) as client:
        sending = threading.Thread(target=send)
        sending.start()
        assert receive_all(client) == b"".join(chunks)
        sending.join(TIMEOUT_S)


def test_a_half_close_leaves_the_other_direction_open() -> None:
    def serve(connection: socket.socket) -> None:
        asked = receive_all(connection)
        connection.sendall(b"after the end: " + asked)

    with serving(serve) as target, ShapedLink(target, QUICK) as link, connect(link.address) as client:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == b"after the end: question"


def test_a_half_close_by_the_target_leaves_the_way_up_open() -> None:
    heard: queue.Queue[bytes] = queue.Queue()

    def serve(connection: socket.socket) -> None:
        connection.shutdown(socket.SHUT_WR)
        heard.put(receive_all(connection))

    with serving(serve) as target, ShapedLink(target, QUICK) as link, connect(link.address) as client:
        assert receive_all(client) == b""
        client.sendall(b"still here")
        client.shutdown(socket.SHUT_WR)
        assert heard.get(timeout=TIMEOUT_S) == b"still here"


@pytest.mark.parametrize("shape", [UNSHAPED, QUICK])
def test_a_refused_target_resets_the_client(shape: LinkShape, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        with ShapedLink(deaf.getsockname(), shape) as link:
            assert_reset(link.address)
            assert link.stats() == LinkStats(0, 0, 1)
    assert "cannot reach 127.0.0.1" in caplog.text


def test_a_target_of_no_possible_name_resets_the_client() -> None:
    with ShapedLink(("a" * 70 + ".invalid", 1), UNSHAPED) as link:
        assert_reset(link.address)


def test_a_clients_reset_reaches_the_target() -> None:
    came, was_reset = threading.Event(), threading.Event()

    def serve(connection: socket.socket) -> None:
        receive(connection, 1)
        came.set()
        try:
            connection.recv(1)
        except ConnectionResetError:
            was_reset.set()

    with serving(serve) as target, ShapedLink(target, QUICK) as link:
        client = connect(link.address)
        client.sendall(b"x")
        assert came.wait(TIMEOUT_S)
        reset(client)
        assert was_reset.wait(TIMEOUT_S)


def test_a_targets_reset_reaches_the_client() -> None:
    def serve(connection: socket.socket) -> None:
        receive(connection, 1)
        reset(connection)

    with serving(serve) as target, ShapedLink(target, QUICK) as link, connect(link.address) as client:
        client.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def push(sock: socket.socket, size_bytes: int) -> int:
    """Send until nothing more is taken for half a second; return how much was."""
    sock.settimeout(0)
    sent = 0
    while sent < size_bytes and select.select([], [sock], [], 0.5)[1]:
        sent += sock.send(bytes(min(1 << 16, size_bytes - sent)))
    sock.settimeout(TIMEOUT_S)
    return sent


@pytest.mark.parametrize(
    ("shape", "bound_bytes"),
    [(UNSHAPED, 2 << 20), (LinkShape(20e6, 0.005), 2 << 20), (LinkShape(None, 0.001), 18 << 20)],
    ids=["unshaped", "shaped", "delay-only"],
)
def test_a_stuck_target_holds_its_client_back_and_nobody_else(shape: LinkShape, bound_bytes: int) -> None:
    release = threading.Event()
    came: list[int] = []

    def serve(connection: socket.socket) -> None:
        if receive(connection, 1) == b"e":
            echo(connection)
            return
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        assert release.wait(TIMEOUT_S)
        came.append(len(receive_all(connection)))

    with serving(serve) as target, ShapedLink(target, shape) as link, connect(link.address) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        client.sendall(b"s")
        sent = push(client, 64 << 20)
        assert shape.window_bytes // 2 < sent < bound_bytes
        with connect(link.address) as other:
            other.sendall(b"e12345")
            assert receive(other, 5) == b"12345"
        release.set()
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == b""
    assert came == [sent], "what was held back was not lost"


def test_a_slow_link_is_read_no_faster_than_its_window() -> None:
    shape = LinkShape(80e3, 0.001)
    with serving(discard) as target, ShapedLink(target, shape) as link, connect(link.address) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        assert shape.window_bytes <= push(client, 16 << 20) < 1 << 20


def test_a_smaller_window_holds_back_a_connection_that_already_fills_more() -> None:
    wide, narrow = LinkShape(None, 0.5), LinkShape(40e6, 0.001)
    data = random.Random(1).randbytes(3 << 20)  # noqa: S311
    with serving(echo) as target, ShapedLink(target, wide) as link, connect(link.address) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        client.sendall(data[: 2 << 20])  # at most 0.4 MB of it are still in socket buffers: the window was 16 MiB
        link.reshape(narrow)
        sending = threading.Thread(target=client.sendall, args=(data[2 << 20 :],))
        sending.start()
        assert receive(client, len(data)) == data
        sending.join(TIMEOUT_S)


def test_the_counts_are_of_each_direction() -> None:
    def serve(connection: socket.socket) -> None:
        receive(connection, 1000)
        connection.sendall(bytes(30_000))

    with serving(serve) as target, ShapedLink(target, UNSHAPED) as link:
        assert link.stats() == LinkStats(up_bytes=0, down_bytes=0, connections=0)
        for number in (1, 2):
            with connect(link.address) as client:
                client.sendall(bytes(1000))
                assert len(receive_all(client)) == 30_000
            assert link.stats() == LinkStats(1000 * number, 30_000 * number, number)


async def hold(address: Address, number: int) -> list[bytes]:
    """Open connections one after the other and ask each for an echo."""
    heard, writers = [], []
    for _ in range(number):
        reader, writer = await asyncio.open_connection(*address)
        writers.append(writer)
        writer.write(b"x")
        heard.append(await reader.read(1))
    for writer in writers:
        writer.close()
        await writer.wait_closed()
    return heard


def test_connections_beyond_the_limit_are_closed() -> None:
    async def run(target: Address) -> list[bytes]:
        async with Proxy(target, UNSHAPED, max_connections=2) as proxy:
            return await hold(proxy.address, 3)

    with serving(echo) as target:
        assert asyncio.run(run(target)) == [b"x", b"x", b""]


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
