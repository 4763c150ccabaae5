"""TierServer: each bound holds, bad bytes get an answer, and it ends in order."""

import queue
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from splitnet.emulate.ports import reserved_address
from splitnet.errors import ConfigError, ModelError, NotFoundError, SplitNetError
from splitnet.link import TierServer
from splitnet.link.serving import exchange
from splitnet.link.status import STATUS_PARAMETER
from splitnet.protocol import (
    MODEL_INFER,
    MODEL_METADATA,
    MODEL_READY,
    MODEL_STREAM_INFER,
    SERVER_LIVE,
    SERVER_METADATA,
    InferRequest,
    InferResponse,
    ModelName,
    decode_request,
    encode_request,
)
from tests.link.peers import (
    TIMEOUT_S,
    Conversation,
    Plane,
    ask,
    call,
    dialled,
    echo,
    in_thread,
    raises,
    serving,
    started,
    unary,
)
from tests.programs.processes import eventually

GARBAGE = b"\x0a\xff nonsense"


def refused(channel: grpc.Channel, message: bytes) -> tuple[str, str]:
    """Return the status and text with which ModelInfer refuses `message`."""
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, message)
    return caught.value.code().name, caught.value.details() or ""


def test_an_address_in_use_is_the_operators_to_mend() -> None:
    with (
        serving(Plane()) as server,
        pytest.raises(ConfigError, match=rf"cannot listen on 127.0.0.1:{server.address[1]}"),
    ):
        started(Plane(), listen=server.address)


def test_streams_are_bounded_and_leave_room_for_calls() -> None:
    with serving(Plane(echo), max_streams=2) as server, dialled(server.address) as channel:
        talks = [Conversation(channel) for _ in range(2)]
        for talk in talks:
            talk.send(encode_request(ask(1)))
            assert talk.receive().response.tensors["x"][0] == 1
        with pytest.raises(grpc.RpcError) as caught:
            Conversation(channel).receive()
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "2 streams" in (caught.value.details() or "")
        assert call(channel, encode_request(ask(2))).tensors["x"][0] == 2
        talks[0].end()
        with pytest.raises(StopIteration):
            talks[0].receive()
        again = Conversation(channel)
        again.send(encode_request(ask(3)))
        assert again.receive().response.tensors["x"][0] == 3


@pytest.mark.parametrize("waits", [True, False])
def test_a_stream_that_is_broken_off_leaves_its_place(waits: bool) -> None:  # noqa: FBT001  (a parameter of pytest)
    plane = Plane()
    with serving(plane, max_streams=1) as server:
        with dialled(server.address) as channel:
            gone = Conversation(channel)
            if waits:
                gone.send(encode_request(ask(1)))
                plane.next()
            gone.call.cancel()
        with dialled(server.address) as channel:
            eventually(lambda: _has_place(channel, plane))


def _has_place(channel: grpc.Channel, plane: Plane) -> bool:
    talk = Conversation(channel)
    name = str(id(talk))
    talk.send(encode_request(ask(2, id=name)))
    try:
        request, _, answer = plane.held.get(timeout=1.0)
        while request.id != name:  # of an attempt before, which came late
            request, _, answer = plane.held.get(timeout=1.0)
        answer.set_result(echo(request))
        return bool(talk.receive().response.tensors["x"][0] == 2)
    except queue.Empty:
        return False
    finally:
        talk.call.cancel()  # or it would take the place of the next attempt


def test_calls_are_bounded_and_leave_room_for_the_small_ones() -> None:
    plane = Plane()
    with serving(plane) as server, dialled(server.address) as channel:
        infer, alive = unary(channel, MODEL_INFER.path), unary(channel, SERVER_LIVE.path)
        calls = [infer.future(encode_request(ask(value)), timeout=TIMEOUT_S) for value in range(200)]
        eventually(lambda: sum(each.done() for each in calls) == 200 - 128)
        assert {each.code() for each in calls if each.done()} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert alive(b"", timeout=TIMEOUT_S / 2) == SERVER_LIVE.encode_response(True)  # noqa: FBT003
        assert "128 calls are unanswered" in refused(channel, encode_request(ask()))[1]
        waiting = [each for each in calls if not each.done()]
        request, _, answer = plane.next()
        answer.set_result(echo(request))
        eventually(lambda: sum(each.done() for each in waiting) == 1)
        for each in waiting:
            each.cancel()  # nobody waits for it any more, and it must not keep its place
        eventually(lambda: _is_taken(channel, plane))


def _is_taken(channel: grpc.Channel, plane: Plane) -> bool:
    """Whether 32 more calls find a place."""
    infer = unary(channel, MODEL_INFER.path)
    while not plane.held.empty():
        plane.held.get_nowait()
    calls = [infer.future(encode_request(ask()), timeout=TIMEOUT_S) for _ in range(32)]
    eventually(lambda: plane.held.qsize() + sum(each.done() for each in calls) == 32)
    taken = plane.held.qsize() == 32
    for each in calls:
        each.cancel()
    return taken


@pytest.mark.parametrize(("fault", "status"), [("cancelled", "INTERNAL"), ("no tensor", "INVALID_ARGUMENT")])
def test_a_request_is_answered_and_leaves_its_place_whatever_happens(fault: str, status: str) -> None:
    plane = Plane()
    with serving(plane, max_in_flight=1) as server, dialled(server.address) as channel:
        talk = Conversation(channel)
        for name in "ab":
            talk.send(encode_request(ask(id=name)))
            request, _, answer = plane.next()
            if fault == "cancelled":
                answer.cancel()
                answer.set_running_or_notify_cancel()
            else:
                answer.set_result(InferResponse("m", {"x": np.array([object()])}, "1", request.id))
            failure = talk.receive()
            assert failure.response.id == name
            assert failure.response.parameters[STATUS_PARAMETER] == status
        talk.end()
        with pytest.raises(StopIteration):
            talk.receive()


def test_a_fault_in_taking_a_request_is_not_the_end_of_its_stream(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def decode(message: bytes) -> InferRequest:
        if message == GARBAGE:
            raise KeyError("secret")
        return decode_request(message)

    monkeypatch.setattr(exchange, "decode_request", decode)
    with serving(Plane(echo)) as server, dialled(server.address) as channel:
        talk = Conversation(channel)
        talk.send(GARBAGE)
        failure = talk.receive()
        assert failure.response.parameters[STATUS_PARAMETER] == "INTERNAL"
        assert "secret" not in failure.error_message
        talk.send(encode_request(ask(id="good")))
        assert talk.receive().response.id == "good"
    assert "KeyError: 'secret'" in caplog.text


def test_requests_of_a_stream_are_bounded() -> None:
    plane = Plane()
    with serving(plane, max_in_flight=2) as server, dialled(server.address) as channel:
        talk = Conversation(channel)
        for name in "abc":
            talk.send(encode_request(ask(id=name)))
        refusal = talk.receive()
        assert refusal.response.id == "c"
        assert refusal.response.parameters[STATUS_PARAMETER] == "RESOURCE_EXHAUSTED"
        assert "2 requests of this stream are unanswered" in refusal.error_message
        request, _, answer = plane.next()
        answer.set_result(echo(request))
        assert talk.receive().response.id == "a"
        talk.send(encode_request(ask(id="d")))
        request, _, answer = plane.next()
        assert plane.next()[0].id == "d"


def test_a_client_that_never_reads_is_not_read_from_for_ever() -> None:
    answer = InferResponse("m", {"x": np.zeros(500_000, np.uint8)}, "1")
    count = 200
    with serving(Plane(lambda _: answer), max_in_flight=4) as server, dialled(server.address) as channel:
        talk = Conversation(channel)
        question = encode_request(ask(1))
        padded = question + b"\x1a\xd0\x86\x03" + b"i" * 50_000  # an id of 50,000 characters
        for _ in range(count):
            talk.send(padded)
        assert talk.takes(5, within_s=TIMEOUT_S)
        assert not talk.takes(count, within_s=1.0)
        talk.end()
        assert sum(1 for _ in talk.call) == count


def test_garbage_on_a_stream_is_answered_and_the_stream_lives_on() -> None:
    with serving(Plane(echo)) as server, dialled(server.address) as channel:
        talk = Conversation(channel)
        for message in (GARBAGE, b"", GARBAGE):
            talk.send(message)
        talk.send(encode_request(ask(7, id="good")))
        answers = [talk.receive() for _ in range(4)]
    assert [answer.response.parameters.get(STATUS_PARAMETER) for answer in answers] == [
        "INVALID_ARGUMENT",
        None,
        "INVALID_ARGUMENT",
        None,
    ]
    assert answers[3].response.id == "good"


def test_garbage_in_a_call_is_the_callers_fault() -> None:
    with serving(Plane(echo)) as server, dialled(server.address) as channel:
        assert refused(channel, GARBAGE)[0] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (NotFoundError("no such model"), "NOT_FOUND"),
        (ModelError("/opt/secret"), "FAILED_PRECONDITION"),
        (SplitNetError("/opt/secret"), "INTERNAL"),
        (KeyError("secret"), "INTERNAL"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_errors_of_a_call_are_statuses_that_tell_nothing_of_the_inside(raised: Exception, status: str) -> None:
    with serving(Plane(raises(raised))) as server, dialled(server.address) as channel:
        found, text = refused(channel, encode_request(ask()))
    assert found == status
    assert "secret" not in text


@pytest.mark.parametrize("character", ["x", "\N{SNOWMAN}", "\N{PILE OF POO}", "\n"])
def test_a_status_arrives_however_much_there_is_to_say(character: str) -> None:
    with serving(Plane(raises(NotFoundError(character * 100_000)))) as server, dialled(server.address) as channel:
        status, text = refused(channel, encode_request(ask()))
    assert status == "NOT_FOUND"
    assert text.startswith(character * 100)


def test_a_call_without_an_answer_ends_at_the_tiers_own_limit() -> None:
    with serving(Plane(), default_deadline_ms=100.0) as server, dialled(server.address) as channel:
        start_s = time.monotonic()
        assert refused(channel, encode_request(ask()))[0] == "DEADLINE_EXCEEDED"
        assert time.monotonic() - start_s < TIMEOUT_S / 2


def test_the_deadline_of_the_call_reaches_the_data_plane() -> None:
    plane = Plane()
    with serving(plane) as server, dialled(server.address) as channel:
        reply = unary(channel, MODEL_INFER.path).future(encode_request(ask()), timeout=TIMEOUT_S / 2)
        _, deadline, _ = plane.next()
        assert 0 < deadline.remaining_s() < 0.75 * TIMEOUT_S  # gRPC rounds it up
        reply.cancel()


def test_the_small_calls_are_the_data_planes() -> None:
    with serving(Plane()) as server, dialled(server.address) as channel:

        def ready(name: str, version: str) -> bool:
            message = MODEL_READY.encode_request(ModelName(name, version))
            reply: bytes = unary(channel, MODEL_READY.path)(message, timeout=TIMEOUT_S)
            return MODEL_READY.decode_response(reply)

        assert ready("m", "1")
        assert not ready("m", "2")
        assert unary(channel, SERVER_LIVE.path)(b"", timeout=TIMEOUT_S) == SERVER_LIVE.encode_response(True)  # noqa: FBT003
        with pytest.raises(grpc.RpcError, match="model 'q' '' is not served here") as caught:
            unary(channel, MODEL_METADATA.path)(MODEL_METADATA.encode_request(ModelName("q")), timeout=TIMEOUT_S)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_stopping_tells_watchers_finishes_what_is_in_flight_and_does_not_wait_for_watchers() -> None:
    plane = Plane()
    server = started(plane)
    with dialled(server.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        reply = unary(channel, MODEL_INFER.path).future(encode_request(ask(1)), timeout=TIMEOUT_S)
        talk = Conversation(channel)
        talk.send(encode_request(ask(2)))
        held = [plane.next(), plane.next()]
        stopping = in_thread(lambda: server.stop(60.0))
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert not stopping.done()
        for request, _, answer in held:
            answer.set_result(echo(request))
        assert talk.receive().response.tensors["x"][0] == 2
        assert reply.result(TIMEOUT_S)
        stopping.result(TIMEOUT_S)


def test_until_all_is_answered_health_is_told_to_whoever_asks_and_nothing_else() -> None:
    plane = Plane()
    server = started(plane)
    with dialled(server.address) as old:
        talk = Conversation(old)
        talk.send(encode_request(ask(1)))
        _, _, answer = plane.next()
        stopping = in_thread(lambda: server.stop(60.0))
        with dialled(server.address) as new:
            for channel in (old, new):
                talks: Any = channel.stream_stream
                check = health_pb2_grpc.HealthStub(channel).Check
                eventually(partial(_is_not_serving, check))
                assert SERVER_LIVE.decode_response(unary(channel, SERVER_LIVE.path)(b"", timeout=TIMEOUT_S))
                for path in (MODEL_INFER.path, MODEL_STREAM_INFER.path, SERVER_METADATA.path):
                    with pytest.raises(grpc.RpcError, match="shutting down") as caught:
                        next(talks(path)(iter([encode_request(ask(2))]), timeout=TIMEOUT_S))
                    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert not stopping.done()
            answer.set_result(echo(ask(1)))
            assert talk.receive().response.tensors["x"][0] == 1
        stopping.result(TIMEOUT_S)


def _is_not_serving(check: Any) -> bool:
    status = check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S).status
    return bool(status == health_pb2.HealthCheckResponse.NOT_SERVING)


def test_grace_ends_what_does_not() -> None:
    plane = Plane()
    server = started(plane)
    with dialled(server.address) as channel:
        talk = Conversation(channel)
        talk.send(encode_request(ask(1)))
        plane.next()
        start_s = time.monotonic()
        server.stop(0.2)
        assert time.monotonic() - start_s < TIMEOUT_S / 2
        with pytest.raises(grpc.RpcError):
            talk.receive()


def test_the_port_is_free_again_after_a_stop() -> None:
    with reserved_address() as address:
        for _ in range(3):
            server: TierServer = started(Plane(echo), listen=address)
            with dialled(address) as channel:
                assert call(channel, encode_request(ask(3))).tensors["x"][0] == 3
            server.stop(1.0)


@pytest.mark.parametrize(
    "method", [MODEL_INFER.path, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"]
)
def test_calls_whose_message_never_comes_keep_nobody_out(method: str) -> None:
    """Each holds one of gRPC's threads; a client's own bound is met before the server's."""
    silence = threading.Event()

    def never() -> Iterator[Any]:
        silence.wait()
        yield from ()

    with serving(Plane(echo), max_streams=1) as server, dialled(server.address) as channel:
        half_open: list[Any] = [channel.stream_stream(method)(never()) for _ in range(160)]
        eventually(lambda: sum(each.done() for each in half_open) == 16)
        assert {each.code() for each in half_open if each.done()} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        for each in half_open:
            each.cancel()
        silence.set()
        eventually(lambda: _is_answered(channel))


@pytest.mark.parametrize(
    "method",
    [
        MODEL_METADATA.path,
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
)
def test_a_message_that_is_none_is_the_callers_fault(method: str, caplog: pytest.LogCaptureFixture) -> None:
    with serving(Plane(echo)) as server, dialled(server.address) as channel:
        made: Any = channel.stream_stream(method)
        with pytest.raises(grpc.RpcError, match="expected a well-formed message") as caught:
            next(made(iter([b"\xff\xff\xff"]), timeout=TIMEOUT_S))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
    assert not caplog.records


def _is_answered(channel: grpc.Channel) -> bool:
    try:
        answer = call(channel, encode_request(ask(5)))
    except grpc.RpcError:
        return False
    return bool(answer.tensors["x"] == 5)


def test_an_address_that_is_taken_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with reserved_address() as (host, port), socket.create_server((host, port)):
        with pytest.raises(ConfigError):
            started(Plane(), listen=(host, port))
        eventually(lambda: set(threading.enumerate()) <= before)
