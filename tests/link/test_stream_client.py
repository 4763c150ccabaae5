"""Upstreams against one TierServer: many in flight, within bounds, and every request ends whatever happens."""

import socket
import time
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from splitnet.deadline import Deadline
from splitnet.emulate.ports import reserved_address
from splitnet.errors import (
    ConfigError,
    DeadlineExceededError,
    InvalidArgumentError,
    ModelError,
    NotFoundError,
    OperatorError,
    OverloadedError,
    PeerProtocolError,
    SplitNetError,
    UnavailableError,
)
from splitnet.link import Upstreams
from splitnet.link.client import stream
from splitnet.protocol import (
    InferRequest,
    InferResponse,
    StreamResponse,
    decode_request,
    encode_stream_response,
)
from tests.link.peers import (
    MAX_MESSAGE_BYTES,
    TIMEOUT_S,
    Plane,
    ask,
    echo,
    foreign,
    in_thread,
    linked,
    raises,
    serving,
    soon,
    started,
    value_of,
)
from tests.programs.processes import eventually, in_time


def test_answers_find_their_requests_in_any_order() -> None:
    plane = Plane()
    with serving(plane) as server, linked(server.address) as client:
        futures = [client.infer(ask(value, id="mine"), soon()) for value in range(5)]
        held = [plane.next() for _ in futures]
        assert [request.tensors["x"][0] for request, _, _ in held] == [0, 1, 2, 3, 4]
        for request, _, answer in reversed(held):
            assert not futures[int(request.tensors["x"][0])].done()
            answer.set_result(echo(request))
            assert value_of(futures[int(request.tensors["x"][0])]) == request.tensors["x"][0]


def test_the_window_bounds_what_is_in_flight() -> None:
    plane = Plane()
    with serving(plane) as server, linked(server.address, window=2) as client:
        first, _ = client.infer(ask(1), soon()), client.infer(ask(2), soon())
        with pytest.raises(OverloadedError, match="2 requests are in flight to the tier above"):
            client.infer(ask(3), soon())
        request, _, answer = plane.next()
        answer.set_result(echo(request))
        assert value_of(first) == 1
        client.infer(ask(4), soon())


def test_a_deadline_ends_a_request_and_a_late_answer_is_nobodys() -> None:
    plane = Plane()
    with serving(plane) as server, linked(server.address, window=1) as client:
        assert client.wait_until_known(TIMEOUT_S)

        def ended_s() -> float:
            start_s = time.monotonic()
            late = client.infer(ask(1), Deadline.after_ms(300))
            with pytest.raises(DeadlineExceededError, match="no answer within the deadline"):
                late.result(TIMEOUT_S)
            seconds = time.monotonic() - start_s
            request, _, answer = plane.next()
            answer.set_result(echo(request))
            assert seconds >= 0.3
            return seconds

        in_time(ended_s, 0.35)
        second = client.infer(ask(2), soon())
        request, _, answer = plane.next()
        answer.set_result(echo(request))
        assert value_of(second) == 2


@pytest.mark.parametrize(
    ("raised", "kind", "text"),
    [
        (InvalidArgumentError("tensor 'x': wrong"), InvalidArgumentError, "tensor 'x': wrong"),
        (NotFoundError("no such plan"), NotFoundError, "no such plan"),
        (OverloadedError("full"), OverloadedError, "full"),
        (UnavailableError("shutting down"), UnavailableError, "shutting down"),
        (DeadlineExceededError("too late"), DeadlineExceededError, "too late"),
        (ConfigError("/etc/secret.toml: no"), OperatorError, "its log says why"),
        (ModelError("/opt/secret.onnx: no"), OperatorError, "its log says why"),
        (SplitNetError("secret"), PeerProtocolError, "its log says why"),
        (KeyError("secret"), PeerProtocolError, "its log says why"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_errors_cross_by_kind_and_tell_nothing_of_the_inside(
    raised: Exception, kind: type[SplitNetError], text: str
) -> None:
    with serving(Plane(raises(raised))) as server, linked(server.address) as client:
        error = client.infer(ask(), soon()).exception(TIMEOUT_S)
    assert type(error) is kind
    assert text in str(error)
    assert "secret" not in str(error)


def test_service_returns_when_the_server_does() -> None:
    plane = Plane()
    with reserved_address() as address:
        server = started(plane, listen=address)
        with linked(address) as client:
            lost = client.infer(ask(1), soon())
            plane.next()
            server.stop(0.0)
            assert isinstance(lost.exception(TIMEOUT_S), UnavailableError)
            eventually(lambda: isinstance(_attempt(client), UnavailableError))
            eventually(lambda: not client.connected)
            with serving(Plane(echo), listen=address):
                eventually(lambda: _attempt(client) is None)
                assert client.connected


def _attempt(client: Upstreams) -> BaseException | None:
    try:
        return client.infer(ask(), soon()).exception(TIMEOUT_S)
    except UnavailableError as err:
        return err


def test_requests_before_the_first_connection_wait_for_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        address = reserved.getsockname()
        with linked(address) as client:
            early = client.infer(ask(5), soon())
            accepted, _ = reserved.accept()
            assert not early.done()
            accepted.close()
            reserved.close()
            assert isinstance(early.exception(TIMEOUT_S), UnavailableError)


def test_nobody_there_is_said_at_once() -> None:
    with reserved_address() as address, linked(address) as client:
        start_s = time.monotonic()
        assert isinstance(_attempt(client), UnavailableError)
        assert time.monotonic() - start_s < TIMEOUT_S / 2
        assert not client.connected


def test_a_silent_peer_costs_the_deadline_and_no_memory() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        linked(silent.getsockname(), window=2, connect_ms=TIMEOUT_S * 1e3) as client,
    ):
        big = InferRequest("m", {"x": np.zeros(MAX_MESSAGE_BYTES // 2, np.uint8)})
        tracemalloc.start()
        try:
            for _ in range(40):
                error = client.infer(big, Deadline.after_ms(5)).exception(TIMEOUT_S)
                assert isinstance(error, DeadlineExceededError)
            held_bytes, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert held_bytes < 8 * MAX_MESSAGE_BYTES // 2


def test_a_message_too_large_is_refused_before_it_breaks_the_stream() -> None:
    plane = Plane()
    with serving(plane) as server, linked(server.address) as client:
        other = client.infer(ask(1), soon())
        request, _, answer = plane.next()
        with pytest.raises(InvalidArgumentError, match=rf"at most {MAX_MESSAGE_BYTES}"):
            client.infer(InferRequest("m", {"x": np.zeros(MAX_MESSAGE_BYTES, np.uint8)}), soon())
        answer.set_result(echo(request))
        assert value_of(other) == 1


def test_an_answer_too_large_fails_alone() -> None:
    plane = Plane()
    with serving(plane) as server, linked(server.address) as client:
        large, other = client.infer(ask(1), soon()), client.infer(ask(2), soon())
        (request, _, answer), (other_request, _, other_answer) = plane.next(), plane.next()
        answer.set_result(InferResponse("m", {"x": np.zeros(MAX_MESSAGE_BYTES, np.uint8)}, "1", request.id))
        assert isinstance(large.exception(TIMEOUT_S), OverloadedError)
        other_answer.set_result(echo(other_request))
        assert value_of(other) == 2


def test_a_drained_server_answers_what_it_has_and_takes_nothing_new() -> None:
    plane = Plane()
    server = started(plane)
    with linked(server.address) as client:
        last = client.infer(ask(1), soon())
        request, _, answer = plane.next()
        stopping = in_thread(lambda: server.stop(TIMEOUT_S))
        eventually(lambda: _refused(client))
        assert not stopping.done()
        answer.set_result(echo(request))
        assert value_of(last) == 1
        stopping.result(TIMEOUT_S)


def _refused(client: Upstreams) -> bool:
    try:
        error = client.infer(ask(2), Deadline.after_ms(200)).exception(TIMEOUT_S)
    except UnavailableError:
        return True
    return isinstance(error, UnavailableError)


def test_closing_fails_what_is_in_flight_and_refuses_more() -> None:
    plane = Plane()
    with serving(plane) as server:
        with linked(server.address) as client:
            lost = client.infer(ask(1), soon())
            plane.next()
        assert isinstance(lost.exception(0), UnavailableError)
        with pytest.raises(UnavailableError, match="closed"):
            client.infer(ask(2), soon())


def test_a_peer_that_talks_nonsense_is_asked_anew_on_another_stream() -> None:
    streams: list[int] = []

    def talk(messages: Iterator[bytes]) -> Iterator[bytes]:
        streams.append(1)
        for message in messages:
            if len(streams) == 1:
                yield b"\xff nonsense"
                return
            yield encode_stream_response(StreamResponse(echo(decode_request(message))))

    with foreign(talk) as address, linked(address) as client:
        error = client.infer(ask(1), soon()).exception(TIMEOUT_S)
        assert isinstance(error, UnavailableError)
        assert "the peer's answer" in str(error)
        assert value_of(client.infer(ask(2), soon())) == 2


def test_a_fault_of_the_stream_ends_what_is_in_flight_and_the_link_lives_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def decode(_: bytes) -> StreamResponse:
        raise KeyError("bug")

    with serving(Plane(echo)) as server, linked(server.address) as client:
        with monkeypatch.context() as patch:
            patch.setattr(stream, "decode_stream_response", decode)
            error = client.infer(ask(1), soon()).exception(TIMEOUT_S)
            assert isinstance(error, UnavailableError)
        eventually(lambda: _attempt(client) is None)
    assert "KeyError" in caplog.text


def test_answers_to_nobody_are_passed_over() -> None:
    def talk(messages: Iterator[bytes]) -> Iterator[bytes]:
        for message in messages:
            request = decode_request(message)
            for request_id in ("", "0", "x", request.id, request.id):
                yield encode_stream_response(StreamResponse(InferResponse("m", request.tensors, id=request_id)))

    with foreign(talk) as address, linked(address) as client:
        assert [value_of(client.infer(ask(value), soon())) for value in range(3)] == [0, 1, 2]
