"""Links to servers of the protocol that are not ours: some stream in Triton's way, the others are called."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, suppress

import grpc
import pytest

from splitnet.deadline import Deadline
from splitnet.errors import (
    DeadlineExceededError,
    NotFoundError,
    OverloadedError,
    PeerProtocolError,
    SplitNetError,
    UnavailableError,
)
from splitnet.protocol import (
    MODEL_INFER,
    InferRequest,
    InferResponse,
    StreamResponse,
    decode_request,
    encode_response,
    encode_stream_response,
)
from tests.link.peers import TIMEOUT_S, ask, echo, foreign, linked, soon, value_of
from tests.programs.processes import eventually

Answer = Callable[[InferRequest], InferResponse]


def triton(streamed: list[str]) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    """Triton's stream: a wrapper around each answer, an error that bears the id for a model that it has not."""

    def talk(messages: Iterator[bytes]) -> Iterator[bytes]:
        for message in messages:
            request = decode_request(message)
            streamed.append(request.model_name)
            if request.model_name == "m":
                yield encode_stream_response(StreamResponse(echo(request)))
            else:
                failed = InferResponse("", {}, id=request.id)
                yield encode_stream_response(StreamResponse(failed, "Request for unknown model"))

    return talk


def mlserver(streamed: list[str]) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    """MLServer's stream: plain answers, whatever model they are asked for."""

    def talk(messages: Iterator[bytes]) -> Iterator[bytes]:
        for message in messages:
            request = decode_request(message)
            streamed.append(request.model_name)
            yield encode_response(echo(request))

    return talk


def breaking(streamed: list[str]) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    """A stream that ends with a status on the first mistake, as MLServer's does for a model that it has not."""

    def talk(messages: Iterator[bytes]) -> Iterator[bytes]:
        for message in messages:
            streamed.append(decode_request(message).model_name)
            raise KeyError("no such model")
        yield b""

    return talk


def calls(answer: Answer, called: list[str]) -> dict[str, Callable[[bytes], bytes]]:
    def infer(message: bytes) -> bytes:
        request = decode_request(message)
        called.append(request.id)
        return encode_response(answer(request))

    return {MODEL_INFER.name: infer}


def test_a_server_that_streams_as_triton_does_is_found_out_by_a_request_that_must_fail() -> None:
    streamed: list[str] = []
    with foreign(triton(streamed), streams=False) as address, linked(address) as link:
        assert [value_of(link.infer(ask(value), soon())) for value in range(3)] == [0, 1, 2]
    assert streamed == ["splitnet.probe", "m", "m", "m"]


@pytest.mark.parametrize("talk", [mlserver, breaking, None])
def test_a_server_that_does_not_is_called(
    talk: Callable[[list[str]], Callable[[Iterator[bytes]], Iterator[bytes]]] | None,
) -> None:
    streamed: list[str] = []
    called: list[str] = []
    stream = talk(streamed) if talk is not None else None
    with foreign(stream, calls(echo, called), streams=False) as address, linked(address) as link:
        futures = [link.infer(ask(value, id=f"{value:016x}"), soon()) for value in range(8)]
        assert [value_of(future) for future in futures] == list(range(8))
        assert [future.result().id for future in futures] == [f"{value:016x}" for value in range(8)]
        assert not link.supports("splitnet_cancel")
    assert streamed == ["splitnet.probe"] * (talk is not None)
    assert sorted(called) == [f"{value:016x}" for value in range(8)]


def test_a_server_without_metadata_is_called_too() -> None:
    def refuse(_: bytes) -> bytes:
        raise KeyError("nothing to say")

    answers = calls(echo, []) | {"ServerMetadata": refuse}
    with foreign(None, answers, streams=False) as address, linked(address) as link:
        assert value_of(link.infer(ask(7), soon())) == 7


def test_a_call_ends_at_its_deadline_and_when_it_is_cancelled() -> None:
    go = threading.Event()

    def wait(request: InferRequest) -> InferResponse:
        go.wait(TIMEOUT_S)
        return echo(request)

    with foreign(None, calls(wait, []), streams=False) as address, linked(address, window=2) as link:
        assert link.wait_until_known(TIMEOUT_S)
        late = link.infer(ask(), Deadline.after_ms(50))
        assert isinstance(late.exception(TIMEOUT_S), DeadlineExceededError)
        cancelled = link.infer(ask(), soon())
        waits = link.infer(ask(3), soon())
        with pytest.raises(OverloadedError):
            link.infer(ask(), soon())
        assert cancelled.cancel()
        go.set()
        assert value_of(waits) == 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (grpc.StatusCode.NOT_FOUND, NotFoundError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, OverloadedError),
        (grpc.StatusCode.UNAVAILABLE, UnavailableError),
    ],
)
def test_a_status_is_the_error(status: grpc.StatusCode, kind: type[SplitNetError]) -> None:
    with foreign(None, {MODEL_INFER.name: status}, streams=False) as address, linked(address) as link:
        assert type(link.infer(ask(), soon()).exception(TIMEOUT_S)) is kind


def test_an_answer_that_cannot_be_read_is_the_peers_fault_and_the_link_lives_on() -> None:
    answers = iter([b"\xff nonsense", encode_response(InferResponse("m", ask(5).tensors, id="another"))])
    with (
        foreign(None, {MODEL_INFER.name: lambda _: next(answers)}, streams=False) as address,
        linked(address) as link,
    ):
        assert isinstance(link.infer(ask(), soon()).exception(TIMEOUT_S), PeerProtocolError)
        assert value_of(link.infer(ask(), soon())) == 5


def test_a_server_of_calls_that_goes_away_is_lost_like_any_other() -> None:
    with ExitStack() as stack:
        with foreign(None, calls(echo, []), streams=False) as address:
            link = stack.enter_context(linked(address))
            assert value_of(link.infer(ask(1), soon())) == 1
        assert isinstance(link.infer(ask(2), soon()).exception(TIMEOUT_S), UnavailableError)
        eventually(lambda: not link.connected)


@pytest.mark.parametrize("others", [0, 1])
def test_calls_on_a_connection_that_is_given_up_are_lost_with_it(
    others: int, caplog: pytest.LogCaptureFixture
) -> None:
    go, called = threading.Event(), list[str]()

    def wait(request: InferRequest) -> InferResponse:
        go.wait(TIMEOUT_S)
        return echo(request)

    with ExitStack() as stack:
        well = [stack.enter_context(foreign(None, calls(echo, []), streams=False)) for _ in range(others)]
        mute = stack.enter_context(foreign(None, calls(wait, called), streams=False))
        stack.callback(go.set)
        link = stack.enter_context(linked(mute, *well, breaker_failures=1))
        waits: list[Future[InferResponse]] = []

        def reached() -> bool:
            waits.append(link.infer(ask(1), soon()))
            return bool(called)

        eventually(reached)

        def given_up() -> bool:
            with suppress(UnavailableError):  # once it is given up, and nobody is left
                waits.append(link.infer(ask(1), Deadline.after_ms(800 if others else 400)))
            waits[-1].exception(TIMEOUT_S)
            return waits[0].done()

        eventually(given_up)
        for each in waits:
            if others:
                assert value_of(each) == 1
            else:
                assert isinstance(each.exception(TIMEOUT_S), UnavailableError | DeadlineExceededError)
    assert not [record for record in caplog.records if record.exc_info]
