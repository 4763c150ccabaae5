"""Each fault, as two raw sockets see it."""

import queue
import random
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.emulate import (
    BlackHole,
    Delay,
    Drop,
    Fault,
    LinkShape,
    Proxy,
    Refuse,
    Reset,
    ShapedLink,
    Slice,
    Stall,
    Step,
)
from splitnet.errors import InvalidArgumentError
from tests.emulate.peers import TIMEOUT_S, connect, echo, push, receive, receive_all, serving

UNSHAPED = LinkShape()
#: Long for two sockets on one machine, short for a test.
SILENCE_S = 0.15


def echo_on(connection: socket.socket) -> None:
    """Send everything back, however the connection ends."""
    with suppress(ConnectionResetError):
        echo(connection)


@contextmanager
def echoing() -> Iterator[ShapedLink]:
    with serving(echo_on) as target, ShapedLink(target, UNSHAPED) as link:
        yield link


def ask(client: socket.socket, data: bytes = b"hello") -> None:
    """Have `data` echoed."""
    client.sendall(data)
    assert receive(client, len(data)) == data


def assert_silent(client: socket.socket) -> None:
    """Hold that nothing comes, not even an end."""
    client.settimeout(SILENCE_S)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(TIMEOUT_S)


def test_a_drop_closes_what_is_open_and_nothing_later() -> None:
    with echoing() as link, connect(link.address) as one, connect(link.address) as other:
        ask(one)
        ask(other)
        link.inject(Drop())
        assert one.recv(1) == other.recv(1) == b""
        with connect(link.address) as later:
            ask(later)


def test_nobody_connects_until_a_refusal_is_healed_and_open_connections_stay() -> None:
    with echoing() as link, connect(link.address) as client:
        ask(client)
        for _ in range(2):
            link.inject(Refuse())
            with pytest.raises(ConnectionRefusedError):
                connect(link.address)
            ask(client)
            link.heal()
            with connect(link.address) as later:
                ask(later)


def test_the_port_of_a_link_that_refuses_is_given_up_with_it() -> None:
    with serving(echo) as target:
        with ShapedLink(target, UNSHAPED) as link:
            link.inject(Refuse())
            address = link.address
        with socket.create_server(address):
            pass


def test_a_black_hole_swallows_and_its_healing_brings_nothing_back() -> None:
    with echoing() as link, connect(link.address) as busy, connect(link.address) as idle:
        ask(busy)
        ask(idle)
        link.inject(BlackHole())
        busy.sendall(b"lost")
        with connect(link.address) as later:
            later.sendall(b"lost too")
            assert_silent(later)
            assert_silent(busy)
            link.heal()
            busy.sendall(b"a stream with a hole in it")
            assert_silent(busy)
            ask(idle)
        with connect(link.address) as fresh:
            ask(fresh)
        assert link.stats().up_bytes == 4 * len(b"hello")


def test_a_hole_of_one_way_lets_the_other_pass() -> None:
    heard: queue.Queue[bytes] = queue.Queue()

    def serve(connection: socket.socket) -> None:
        heard.put(receive(connection, 5))
        connection.sendall(b"lost")
        receive_all(connection)

    with serving(serve) as target, ShapedLink(target, UNSHAPED) as link, connect(link.address) as client:
        link.inject(BlackHole("down"))
        client.sendall(b"heard")
        assert heard.get(timeout=TIMEOUT_S) == b"heard"
        assert_silent(client)


def test_who_left_in_a_black_hole_is_told_of_afterwards() -> None:
    ended: queue.Queue[str] = queue.Queue()

    def serve(connection: socket.socket) -> None:
        ask(connection)
        try:
            ended.put(f"half-close after {connection.recv(1)!r}")
        except ConnectionResetError:
            ended.put("reset")

    with serving(serve) as target, ShapedLink(target, UNSHAPED) as link:
        with connect(link.address) as client:
            client.sendall(receive(client, 5))
            link.inject(BlackHole())
        with pytest.raises(queue.Empty):
            ended.get(timeout=SILENCE_S)
        link.heal()
        assert ended.get(timeout=TIMEOUT_S) == "reset"


@pytest.mark.parametrize("after_bytes", [0, 1, 1000])
def test_a_reset_comes_after_just_so_many_bytes_again_and_again(after_bytes: int) -> None:
    with echoing() as link, connect(link.address) as old:
        ask(old, bytes(300_000))
        link.inject(Reset(after_bytes, "down"))
        with connect(link.address) as later:
            for client in (old, later):
                client.sendall(bytes(5000))
                with pytest.raises(ConnectionResetError):
                    receive(client, after_bytes + 1)
        assert link.stats().down_bytes == 300_000 + 2 * after_bytes
        link.heal()
        with connect(link.address) as healed:
            ask(healed, bytes(5000))


def test_a_reset_reaches_the_target_too() -> None:
    ended: queue.Queue[str] = queue.Queue()

    def serve(connection: socket.socket) -> None:
        try:
            receive_all(connection)
        except ConnectionResetError:
            ended.put("reset")

    with serving(serve) as target, ShapedLink(target, UNSHAPED) as link, connect(link.address) as client:
        link.inject(Reset(10, "up"))
        client.sendall(bytes(100))
        assert ended.get(timeout=TIMEOUT_S) == "reset"
        assert link.stats().up_bytes == 10


def test_slices_are_written_one_by_one() -> None:
    pieces: queue.Queue[bytes] = queue.Queue()

    def serve(connection: socket.socket) -> None:
        while piece := connection.recv(1000):
            pieces.put(piece)

    with serving(serve) as target, ShapedLink(target, UNSHAPED) as link, connect(link.address) as client:
        link.inject(Slice(3, 0.02, "up"))
        start_s = time.perf_counter()
        client.sendall(b"0123456789")
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == b""
        assert time.perf_counter() - start_s >= 3 * 0.02
    found = list(pieces.queue)
    assert b"".join(found) == b"0123456789"
    assert len(found) > 1


def test_slices_of_a_byte_without_a_pause_lose_nothing_and_let_others_through() -> None:
    data = bytes(range(256)) * 40
    with echoing() as link, connect(link.address) as client, connect(link.address) as other:
        ask(other)
        link.inject(Slice())
        client.sendall(data)
        ask(other)
        assert receive(client, len(data)) == data


def test_the_healing_lets_the_rest_of_a_slice_through() -> None:
    with echoing() as link, connect(link.address) as client:
        link.inject(Slice(1, 60.0, "up"))
        client.sendall(b"hello")
        assert receive(client, 1) == b"h"
        assert_silent(client)
        link.heal()
        assert receive(client, 4) == b"ello"


@pytest.mark.parametrize("fault", [Stall(), Stall(60.0), Delay(60.0), Delay(60.0, "down"), Stall(None, "up")])
def test_what_is_held_back_comes_in_order_when_healed(fault: Fault) -> None:
    with echoing() as link, connect(link.address) as client:
        ask(client)
        link.inject(fault)
        client.sendall(b"one ")
        assert_silent(client)
        client.sendall(b"two")
        client.shutdown(socket.SHUT_WR)
        link.heal()
        assert receive_all(client) == b"one two"


def test_a_stall_and_a_delay_are_over_by_themselves() -> None:
    with echoing() as link, connect(link.address) as client:
        for fault, least_s in ((Stall(0.1), 0.09), (Delay(0.05), 0.1)):
            start_s = time.perf_counter()
            link.inject(fault)
            ask(client)
            assert time.perf_counter() - start_s >= least_s
            link.heal()


HOLDING = st.one_of(
    st.builds(Slice, st.integers(1, 5000), st.floats(0, 0.001)),
    st.builds(Stall, st.floats(0, 0.01)),
    st.builds(Delay, st.floats(0, 0.01)),
)


@settings(max_examples=15, deadline=None)
@given(faults=st.lists(HOLDING, max_size=6), seed=st.integers(0, 2**32))
def test_what_is_only_held_back_arrives_unaltered(faults: list[Fault], seed: int) -> None:
    pieces = [random.Random(seed + number).randbytes(20_000) for number in range(len(faults) + 1)]  # noqa: S311
    with echoing() as link, connect(link.address) as client:
        for fault, piece in zip(faults, pieces[:-1], strict=True):
            link.inject(fault)
            client.sendall(piece)
        link.heal()
        client.sendall(pieces[-1])
        whole = b"".join(pieces)
        assert receive(client, len(whole)) == whole


def test_faults_add_up_and_are_healed_one_by_one() -> None:
    with echoing() as link, connect(link.address) as client:
        ask(client)
        link.inject(Refuse(), Stall())
        link.heal(Stall())
        ask(client)
        with pytest.raises(ConnectionRefusedError):
            connect(link.address)
        link.heal(Refuse())
        with connect(link.address) as later:
            ask(later)


def test_a_connection_that_is_held_back_holds_no_more_than_its_window() -> None:
    with echoing() as link, connect(link.address) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        link.inject(Stall())
        sent = push(client, 16 << 20, at_least=UNSHAPED.window_bytes)
        assert UNSHAPED.window_bytes <= sent < 2 << 20
        link.heal()
        assert receive(client, sent) == bytes(sent)


def test_steps_follow_each_other_and_the_last_one_stays() -> None:
    slow, fast = LinkShape(8e3), LinkShape(80e6)
    with echoing() as link, connect(link.address) as client:
        start_s = time.perf_counter()
        link.play([Step(0.2, slow), Step(0.01, fast)])
        ask(client, bytes(10_000))  # ten seconds each way at the first rate
        assert 0.1 < time.perf_counter() - start_s < TIMEOUT_S / 4
        ask(client, bytes(10_000))


def test_steps_begin_anew_until_the_link_gets_another_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    given: queue.Queue[LinkShape] = queue.Queue()
    kept = Proxy._set_shape

    def noting(proxy: Proxy, shape: LinkShape) -> None:
        given.put(shape)
        kept(proxy, shape)

    monkeypatch.setattr(Proxy, "_set_shape", noting)
    one, other, last = (LinkShape(rate) for rate in (1e6, 2e6, 3e6))
    with echoing() as link:
        link.play([Step(0.01, one), Step(0.01, other)], repeat=True)
        assert [given.get(timeout=TIMEOUT_S) for _ in range(5)] == [one, other, one, other, one]
        link.reshape(last)
        while given.get(timeout=TIMEOUT_S) != last:
            pass
        with pytest.raises(queue.Empty):
            given.get(timeout=0.05)


def make_reset() -> Fault:
    return Reset(-1)


def make_slice() -> Fault:
    return Slice(0)


def make_pause() -> Fault:
    return Slice(1, -0.1)


def make_stall() -> Fault:
    return Stall(float("inf"))


def make_delay() -> Fault:
    return Delay(float("nan"))


@pytest.mark.parametrize("make", [make_reset, make_slice, make_pause, make_stall, make_delay])
def test_a_fault_out_of_range_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(InvalidArgumentError, match="expected"):
        make()


def test_a_step_lasts() -> None:
    with pytest.raises(InvalidArgumentError, match="more than 0 seconds"):
        Step(0, UNSHAPED)
