"""How a server takes requests: who computes them, how urgently, and what becomes of those nobody waits for."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from splitnet.link import CANCEL_PARAMETER, TierResponse
from splitnet.link.serving.streaming import stream_handler
from splitnet.protocol import (
    MODEL_INFER,
    SERVER_METADATA,
    InferRequest,
    InferResponse,
    Parameter,
    encode_request,
)
from splitnet.telemetry import Events, RequestEnd
from tests.link.peers import (
    TIMEOUT_S,
    Conversation,
    Plane,
    ask,
    call,
    called,
    dialled,
    echo,
    serving,
    told,
    unary,
)
from tests.programs.processes import eventually

WAYS = pytest.mark.parametrize("way", ["call", "stream"])


class Ends(Events):
    """Keeps the ends of requests."""

    def __init__(self) -> None:
        self.seen: list[RequestEnd] = []

    def request_end(self, end: RequestEnd) -> None:
        self.seen.append(end)

    def statuses(self) -> list[str]:
        return [end.status for end in self.seen]


def terms(plane: Plane) -> list[tuple[int, bool]]:
    """Return priority and whether the reading thread might compute it, of each request so far."""
    return [plane.terms.get_nowait() for _ in range(plane.terms.qsize())]


def test_the_reading_thread_computes_while_requests_come_one_by_one() -> None:
    plane = Plane(echo)
    with serving(plane) as server, dialled(server.address) as channel:
        talk = Conversation(channel)
        for value in range(64):
            talk.send(encode_request(ask(value)))
            assert talk.receive().response.tensors["x"][0] == value
    inline = [each for _, each in terms(plane)]
    assert not any(inline[:3])
    assert 16 <= sum(inline) < 64  # now and then one goes the other way, to see whether another comes meanwhile


def test_the_reading_thread_goes_on_reading_while_requests_take_long() -> None:
    def slow(request: InferRequest) -> InferResponse:
        threading.Event().wait(0.015)
        return echo(request)

    plane = Plane(slow)
    with serving(plane) as server, dialled(server.address) as channel:
        talk = Conversation(channel)
        for value in range(12):
            talk.send(encode_request(ask(value)))
            talk.receive()
    assert not any(each for _, each in terms(plane))


def test_requests_that_overlap_are_queued_for_a_batch() -> None:
    plane = Plane()
    with serving(plane) as server, dialled(server.address) as channel:
        talk = Conversation(channel)
        talk.send(encode_request(ask(0)))
        for value in range(1, 40):
            talk.send(encode_request(ask(value)))
            request, _, answer = plane.next()
            eventually(lambda: plane.held.qsize() == 1)  # the next one is taken while this one is unanswered
            answer.set_result(echo(request))
            talk.receive()
    assert not any(each for _, each in terms(plane))


@WAYS
@pytest.mark.parametrize(
    ("priority", "status"), [(1, "OK"), (0, "OK"), (2**32 - 1, "OK"), (2**63, "INVALID_ARGUMENT")]
)
def test_the_priority_is_handed_on(way: str, priority: int, status: str) -> None:
    plane = Plane(echo)
    with serving(plane) as server, dialled(server.address) as channel:
        assert asked(channel, way, ask(parameters={"priority": priority}))[0] == status
    assert [each for each, _ in terms(plane)] == ([priority] if status == "OK" else [])


@WAYS
@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"priority": -1}, "parameter 'priority': expected a whole number"),
        ({"priority": "high"}, "parameter 'priority': expected a whole number"),
        ({"priority": True}, "parameter 'priority': expected a whole number"),
        ({"sequence_id": 7, "sequence_start": True}, "sequences are not supported"),
        ({"sequence_end": True}, "parameter 'sequence_end': sequences are not supported"),
    ],
)
def test_what_cannot_be_is_refused_by_name(way: str, parameters: dict[str, Parameter], says: str) -> None:
    with serving(Plane(echo)) as server, dialled(server.address) as channel:
        status, text = asked(channel, way, ask(parameters=parameters))
    assert status == "INVALID_ARGUMENT"
    assert says in text


def asked(channel: grpc.Channel, way: str, request: InferRequest) -> tuple[str, str]:
    message = encode_request(request)
    return called(channel, message) if way == "call" else told(Conversation(channel), message)


@WAYS
def test_what_waits_beyond_its_deadline_is_dropped_and_told_at_once(way: str) -> None:
    plane, ends = Plane(), Ends()
    with serving(plane, events=ends) as server, dialled(server.address) as channel:
        start_s = time.monotonic()
        status, text = asked(channel, way, ask(id="late", parameters={"timeout": 200_000}))
        assert (status, "deadline" in text) == ("DEADLINE_EXCEEDED", True)
        assert 0.2 <= time.monotonic() - start_s < TIMEOUT_S / 2
        assert plane.next()[2].cancelled()  # hence never computed
        eventually(lambda: ends.statuses() == ["DEADLINE_EXCEEDED"])
    assert ends.seen[0].request_id == "late"


def test_what_computes_beyond_its_deadline_is_still_answered_on_its_stream() -> None:
    plane = Plane()
    with serving(plane) as server, dialled(server.address) as channel:
        talk = Conversation(channel)
        talk.send(encode_request(ask(1, parameters={"splitnet_deadline_ms": 20})))
        request, deadline, answer = plane.next()
        assert answer.set_running_or_notify_cancel()
        eventually(lambda: deadline.expired)
        talk.send(encode_request(ask(2, parameters={"splitnet_deadline_ms": 20})))
        assert talk.receive().response.parameters["splitnet_status"] == "DEADLINE_EXCEEDED"  # the second
        answer.set_result(echo(request))
        assert talk.receive().response.tensors["x"][0] == 1


def test_a_request_can_be_cancelled_and_nothing_answers_it() -> None:
    plane, ends = Plane(), Ends()
    with serving(plane, events=ends, max_in_flight=2) as server, dialled(server.address) as channel:
        reply: bytes = unary(channel, SERVER_METADATA.path)(b"", timeout=TIMEOUT_S)
        assert CANCEL_PARAMETER in SERVER_METADATA.decode_response(reply).extensions
        talk = Conversation(channel)
        for name in ("waits", "runs"):
            talk.send(encode_request(ask(id=name)))
        _, _, waiting = plane.next()
        request, _, running = plane.next()
        assert running.set_running_or_notify_cancel()
        for name in ("waits", "runs", "nobody"):
            talk.send(encode_request(InferRequest("m", {}, id=name, parameters={CANCEL_PARAMETER: True})))
        eventually(waiting.cancelled)
        running.set_result(echo(request))
        eventually(lambda: ends.statuses() == ["CANCELLED", "CANCELLED"])
        talk.send(encode_request(ask(3, id="after")))
        request, _, answer = plane.next()
        answer.set_result(echo(request))
        assert talk.receive().response.id == "after"


def test_a_broken_stream_cancels_what_is_unanswered_on_it() -> None:
    plane, ends = Plane(), Ends()
    with serving(plane, events=ends) as server, dialled(server.address) as channel:
        talk = Conversation(channel)
        for name in "ab":
            talk.send(encode_request(ask(id=name)))
        (_, _, waiting), (_, _, running) = plane.next(), plane.next()
        assert running.set_running_or_notify_cancel()
        talk.call.cancel()
        eventually(waiting.cancelled)
        running.set_result(InferResponse("m", {}))
        eventually(lambda: ends.statuses() == ["CANCELLED", "CANCELLED"])


def test_a_broken_call_is_cancelled() -> None:
    plane, ends = Plane(), Ends()
    with serving(plane, events=ends) as server, dialled(server.address) as channel:
        reply = unary(channel, MODEL_INFER.path).future(encode_request(ask()), timeout=TIMEOUT_S)
        _, _, answer = plane.next()
        reply.cancel()
        eventually(answer.cancelled)
        eventually(lambda: ends.statuses() == ["CANCELLED"])


@WAYS
def test_an_answer_says_how_long_it_took_and_that_it_is_the_last(way: str) -> None:
    request = encode_request(ask(parameters={"triton_enable_empty_final_response": True}))
    with serving(Plane(echo), tier="edge") as server, dialled(server.address) as channel:
        if way == "call":
            parameters = call(channel, request).parameters
        else:
            talk = Conversation(channel)
            talk.send(request)
            parameters = talk.receive().response.parameters
    assert parameters.keys() == {"splitnet_edge_total_ms", "triton_final_response"}
    assert 0 < float(parameters["splitnet_edge_total_ms"]) < TIMEOUT_S * 1e3
    assert parameters["triton_final_response"] is True


@WAYS
def test_each_end_is_told_once_with_what_the_tier_knows_of_it(way: str) -> None:
    ends = Ends()

    def answer(request: InferRequest) -> InferResponse:
        parts: Any = ("plan", 2, ("edge", "cloud"), ("", "UNAVAILABLE"))
        return TierResponse("m", request.tensors, "3", request.id, {}, *parts)

    with serving(Plane(answer), events=ends) as server, dialled(server.address) as channel:
        assert asked(channel, way, ask(id="good"))[0] == "OK"
        assert asked(channel, way, ask(id="bad", parameters={"priority": -1}))[0] == "INVALID_ARGUMENT"
        eventually(lambda: len(ends.seen) == 2)
    good, bad = ends.seen
    assert (good.request_id, good.model, good.plan, good.version, good.status) == ("good", "m", "plan", 3, "OK")
    assert (good.samples, good.exits, good.fallbacks) == (2, ("edge", "cloud"), ("", "UNAVAILABLE"))
    assert (bad.request_id, bad.model, bad.version, bad.status) == ("bad", "", 0, "INVALID_ARGUMENT")
    assert "priority" in bad.error
    assert 0 < good.seconds < TIMEOUT_S


@WAYS
def test_what_cannot_be_read_is_told_and_a_probe_is_not(way: str) -> None:
    ends = Ends()

    def nothing(request: InferRequest) -> InferResponse:
        return TierResponse("m", {}, "3", request.id)

    with serving(Plane(nothing), events=ends) as server, dialled(server.address) as channel:
        assert asked(channel, way, ask(id="probe"))[0] == "OK"
        messages = called(channel, b"\xff"), told(Conversation(channel), b"\xff")
        assert [status for status, _ in messages] == ["INVALID_ARGUMENT"] * 2
        eventually(lambda: len(ends.seen) == 2)
    assert ends.statuses() == ["INVALID_ARGUMENT"] * 2


def test_where_grpc_wants_an_iterator_it_gets_one() -> None:
    """A grpcio without `experimental_non_blocking` calls a handler with two arguments."""
    said: list[bytes] = []

    def serve(messages: Iterator[bytes], _context: object, send: Any) -> None:
        for message in messages:
            send(message + b"!")

    class Context:
        """What gRPC tells of a call; here it never ends by itself."""

        def add_callback(self, _callback: object) -> bool:
            return True

    handler: Any = stream_handler(serve)
    said += handler.stream_stream(iter([b"a", b"b"]), Context())
    assert said == [b"a!", b"b!"]
