"""What a connection through the proxy keeps of TCP: bytes, half-close, resets, and bounds."""

import queue
import random
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.emulate import LinkShape, LinkStats, ShapedLink
from tests.emulate.peers import (
    TIMEOUT_S,
    Address,
    connect,
    discard,
    echo,
    push,
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
        sent = push(client, 64 << 20, at_least=shape.window_bytes // 2)
        assert shape.window_bytes // 2 <= sent < bound_bytes
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
        sent = push(client, 16 << 20, at_least=shape.window_bytes)
        assert shape.window_bytes <= sent < 1 << 20


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
