"""Upstreams: several addresses, what is lost and asked again, silence, cancelling, and what is told of it."""

import gc
import queue
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import numpy as np
import pytest

from splitnet.deadline import Deadline
from splitnet.emulate.ports import reserved_address
from splitnet.errors import (
    ConfigError,
    DeadlineExceededError,
    InvalidArgumentError,
    OverloadedError,
    SplitNetError,
    UnavailableError,
)
from splitnet.link import Upstreams
from splitnet.link.client import names
from splitnet.protocol import InferRequest, InferResponse, ModelName
from splitnet.telemetry import BreakerState, Events, Exchange
from tests.link.peers import (
    TIMEOUT_S,
    Address,
    Plane,
    ask,
    echo,
    in_thread,
    linked,
    raises,
    serving,
    soon,
    started,
    value_of,
)
from tests.programs.processes import eventually

#: A deadline that passes while a request is with a server, which a busy machine has time to hand it to.
HASTY_MS = 600.0


class Notes(Events):
    """What was told, in order."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.told: list[tuple[str, ...]] = []

    def exchange(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    def retry(self, upstream: str) -> None:
        self.told.append(("retry", upstream))

    def breaker(self, upstream: str, state: BreakerState) -> None:  # noqa: ARG002
        self.told.append(("breaker", state))

    def link(self, upstream: str, *, up: bool) -> None:
        self.told.append(("up" if up else "down", upstream))


class Counting(Plane):
    """Echoes, and counts what it was asked."""

    def __init__(self) -> None:
        super().__init__(self._echo)
        self.asked = 0
        self._lock = threading.Lock()

    def _echo(self, request: InferRequest) -> InferResponse:
        with self._lock:
            self.asked += 1
        return echo(request)


@pytest.fixture
def silent() -> Iterator[Address]:
    """An address that accepts connections, as a stopped process does, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()


def all_up(link: Upstreams, count: int) -> None:
    eventually(lambda: sum(each.up for each in link._members.all()) == count)


def test_healthy_upstreams_take_turns() -> None:
    planes = [Counting(), Counting()]
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(plane)) for plane in planes]
        link = stack.enter_context(linked(*(server.address for server in servers)))
        all_up(link, 2)
        assert [value_of(link.infer(ask(value), soon())) for value in range(10)] == list(range(10))
    assert [plane.asked for plane in planes] == [5, 5]


def test_losing_one_of_two_under_load_loses_no_request() -> None:
    notes, held = Notes(), Plane()
    with serving(Plane(echo)) as stays, ExitStack() as stack:
        goes = stack.enter_context(serving(held))
        link = stack.enter_context(linked(stays.address, goes.address, window=32, events=notes))
        all_up(link, 2)
        futures = [link.infer(ask(value), soon()) for value in range(32)]
        for _ in range(16):
            held.next()
        goes.stop(0.0)
        assert [value_of(future) for future in futures] == list(range(32))
        assert [value_of(link.infer(ask(value), soon())) for value in range(20)] == list(range(20))
    assert len([told for told in notes.told if told[0] == "retry"]) == 16
    assert len(notes.exchanges) == 52


def test_without_a_budget_nothing_is_tried_again() -> None:
    held = Plane()
    with (
        serving(held) as goes,
        serving(Plane(echo)) as stays,
        linked(goes.address, stays.address, retry_share=0.0) as link,
    ):
        all_up(link, 2)
        futures = [link.infer(ask(value), soon()) for value in range(2)]
        held.next()
        goes.stop(0.0)
        errors = [future.exception(TIMEOUT_S) for future in futures]
    assert sorted(type(error).__name__ for error in errors) == ["NoneType", "UnavailableError"]


@pytest.mark.parametrize("error", [OverloadedError("full"), UnavailableError("shutting down")])
def test_what_one_has_no_room_for_is_asked_of_the_other(error: SplitNetError) -> None:
    with (
        serving(Plane(raises(error))) as full,
        serving(Plane(echo)) as free,
        linked(full.address, free.address) as link,
    ):
        all_up(link, 2)
        assert [value_of(link.infer(ask(value), soon())) for value in range(6)] == list(range(6))


def test_a_callers_mistake_is_not_asked_again() -> None:
    notes = Notes()
    planes = [Plane(raises(InvalidArgumentError("wrong"))) for _ in range(2)]
    with (
        serving(planes[0]) as one,
        serving(planes[1]) as two,
        linked(one.address, two.address, events=notes) as link,
    ):
        all_up(link, 2)
        assert isinstance(link.infer(ask(), soon()).exception(TIMEOUT_S), InvalidArgumentError)
    assert not [told for told in notes.told if told[0] == "retry"]


def test_where_all_refuse_the_last_refusal_is_the_answer() -> None:
    with (
        serving(Plane(raises(OverloadedError("full")))) as one,
        serving(Plane(raises(OverloadedError("full")))) as two,
        linked(one.address, two.address) as link,
    ):
        all_up(link, 2)
        assert isinstance(link.infer(ask(), soon()).exception(TIMEOUT_S), OverloadedError)


def test_a_late_first_answer_is_not_given_twice() -> None:
    slow, notes = Plane(), Notes()
    with serving(slow) as server, linked(server.address, events=notes) as link:
        assert link.wait_until_known(TIMEOUT_S)
        late = link.infer(ask(1, id="00000000000000aa"), Deadline.after_ms(HASTY_MS))
        first, _, first_answer = slow.next()
        assert isinstance(late.exception(TIMEOUT_S), DeadlineExceededError)
        again = link.infer(ask(2, id="00000000000000aa"), soon())
        second, _, second_answer = slow.next()
        assert first.id != second.id
        first_answer.set_result(echo(first))
        second_answer.set_result(echo(second))
        assert value_of(again) == 2
        assert again.result().id == "00000000000000aa"
    assert len(notes.exchanges) == 1


def test_an_id_goes_up_as_it_is_and_none_is_drawn() -> None:
    plane = Plane()
    with serving(plane) as server, linked(server.address) as link:
        for request_id in ("00000000000000aa", "00000000000000aa", ""):
            link.infer(ask(id=request_id), soon())
        ids = [plane.next()[0].id for _ in range(3)]
    assert ids[0] == "00000000000000aa"
    assert len(set(ids)) == 3
    assert len(ids[2]) == 16
    int(ids[2], 16)


def test_silence_opens_the_breaker_and_service_returns_with_the_server() -> None:
    plane, notes = Plane(), Notes()
    with reserved_address() as address:
        server = started(plane, listen=address)
        with linked(address, events=notes, breaker_failures=3) as link:
            assert link.wait_until_known(TIMEOUT_S)
            for _ in range(3):
                late = link.infer(ask(), Deadline.after_ms(HASTY_MS))
                assert isinstance(late.exception(TIMEOUT_S), DeadlineExceededError)
                plane.next()
            eventually(lambda: ("breaker", "open") in notes.told)
            eventually(lambda: ("breaker", "half-open") in notes.told)
            trial = link.infer(ask(7), soon())
            with pytest.raises(UnavailableError):
                link.infer(ask(), soon())
            request, _, answer = plane.next()
            while request.tensors["x"][0] != 7:  # asked again on a second connection, in vain
                request, _, answer = plane.next()
            answer.set_result(echo(request))
            assert value_of(trial) == 7
            assert notes.told[-1] == ("breaker", "closed")
            server.stop(0.0)
            eventually(lambda: not link.connected)
            with serving(Plane(echo), listen=address):
                start_s = time.monotonic()
                eventually(lambda: _answers(link), within_s=TIMEOUT_S)
                assert time.monotonic() - start_s < TIMEOUT_S / 2


def test_a_breaker_that_opens_gives_back_what_is_in_flight_and_others_take_it() -> None:
    plane = Plane()
    with (
        serving(plane) as mute,
        serving(Plane(echo)) as well,
        linked(mute.address, well.address, breaker_failures=1) as link,
    ):
        all_up(link, 2)
        futures = [link.infer(ask(value), soon()) for value in range(8)]
        for _ in range(4):
            plane.next()
        hasty = [link.infer(ask(value), Deadline.after_ms(2 * HASTY_MS)) for value in range(2)]
        assert [value_of(future) for future in hasty] == [0, 1]  # one of them only when half of its time is over
        assert [value_of(future) for future in futures] == list(range(8))


def test_a_tier_that_accepts_and_says_nothing_is_left_by_the_end_of_the_attempt(silent: Address) -> None:
    with linked(silent, connect_ms=100.0) as link:
        waits = link.infer(ask(), soon())
        assert isinstance(waits.exception(TIMEOUT_S), UnavailableError)
        with pytest.raises(UnavailableError, match="cannot be reached"):
            link.infer(ask(), soon())


def _answers(link: Upstreams) -> bool:
    try:
        return link.infer(ask(), Deadline.after_ms(500)).exception(TIMEOUT_S) is None
    except UnavailableError:
        return False


def test_cancelling_frees_the_window_and_is_told_above() -> None:
    plane = Plane()
    with serving(plane) as server, linked(server.address, window=1) as link:
        assert link.wait_until_known(TIMEOUT_S)
        assert link.supports("splitnet_cancel")
        cancelled = link.infer(ask(1), soon())
        _, _, above = plane.next()
        assert cancelled.cancel()
        eventually(above.cancelled)
        second = link.infer(ask(2), soon())
        request, _, answer = plane.next()
        answer.set_result(echo(request))
        assert value_of(second) == 2
        assert not second.cancel()


def test_a_cancelled_request_that_is_answered_all_the_same_disturbs_nobody() -> None:
    plane = Plane()
    with serving(plane) as server, linked(server.address) as link:
        futures = [link.infer(ask(value), soon()) for value in range(20)]
        taken = [plane.next() for _ in futures]

        def answer_all() -> None:
            for request, _, answer in taken:
                answer.set_result(echo(request))

        answering = in_thread(answer_all)
        outcomes = [future.cancel() for future in futures]
        answered = [value_of(future) for future, gone in zip(futures, outcomes, strict=True) if not gone]
        assert answered == [value for value, gone in enumerate(outcomes) if not gone]
        answering.exception(TIMEOUT_S)  # the server may have dropped some first
        assert len(link._inflight.all()) == 0


def test_an_exchange_tells_bytes_times_and_what_the_tier_above_took() -> None:
    notes = Notes()

    def answer(request: InferRequest) -> InferResponse:
        parameters = {"splitnet_edge_total_ms": 12.0, "splitnet_cloud_total_ms": 7.0, "splitnet_edge_ms": 99.0}
        return InferResponse("m", request.tensors, "1", request.id, parameters)

    with serving(Plane(answer)) as server, linked(server.address, events=notes) as link:
        link.infer(InferRequest("m", {"x": np.zeros(1000, np.uint8)}), soon()).result(TIMEOUT_S)
        host, port = server.address
        (exchange,) = notes.exchanges
    assert exchange.upstream == f"{host}:{port}"
    assert 1000 < exchange.sent_bytes < 1200
    assert 1000 < exchange.received_bytes < 1300
    assert exchange.seconds > 0
    assert exchange.remote_s == pytest.approx(0.012)
    assert exchange.others == 0
    assert notes.told == [("up", f"{host}:{port}"), ("down", f"{host}:{port}")]


def test_renewing_moves_over_and_ends_what_is_in_flight_on_the_old_connection() -> None:
    plane, notes = Plane(), Notes()
    with serving(plane) as server, linked(server.address, events=notes) as link:
        before = link.infer(ask(1), soon())
        first = plane.next()
        (old,) = link._members.all()
        link.renew()
        eventually(lambda: link._members.all() != (old,))
        assert link.connected
        after = link.infer(ask(2), soon())
        second = plane.next()
        assert not before.done()
        for request, _, answer in (first, second):
            answer.set_result(echo(request))
        assert (value_of(before), value_of(after)) == (1, 2)
        old.join(TIMEOUT_S)
        assert [told[0] for told in notes.told] == ["up", "up"]


def test_a_renewal_that_fails_is_said_and_leaves_the_link_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    readable = [True]

    def credentials() -> None:
        if not readable[0]:
            raise ConfigError("certificate.pem: no such file")

    with serving(Plane(echo)) as server, linked(server.address, credentials=credentials) as link:
        assert value_of(link.infer(ask(1), soon())) == 1
        readable[0] = False
        before = link._members.all()
        link.renew()
        eventually(lambda: "certificate.pem: no such file" in caplog.text)
        assert value_of(link.infer(ask(2), soon())) == 2
        assert link._members.all() == before


def test_a_name_that_stands_for_several_addresses_counts_as_several(monkeypatch: pytest.MonkeyPatch) -> None:
    planes = [Counting(), Counting()]
    stands_for = ["127.0.0.1", "127.0.0.2"]

    def look_up(*_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in stands_for]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(names, "_AGAIN_S", 0.05)
    with ExitStack() as stack:
        first = stack.enter_context(serving(planes[0]))
        monkeypatch.undo()
        stack.enter_context(serving(planes[1], listen=("127.0.0.2", first.address[1])))
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        monkeypatch.setattr(names, "_AGAIN_S", 0.05)
        link = stack.enter_context(linked(("tiers.example", first.address[1])))
        all_up(link, 2)
        assert [value_of(link.infer(ask(value), soon())) for value in range(6)] == list(range(6))
        assert [plane.asked for plane in planes] == [3, 3]
        stands_for.append("127.0.0.3")
        stands_for.remove("127.0.0.1")
        eventually(lambda: {each.target.address[0] for each in link._members.all()} == {"127.0.0.2", "127.0.0.3"})
        assert [value_of(link.infer(ask(value), soon())) for value in range(4)] == list(range(4))
        assert planes[0].asked == 3


def test_a_model_is_ready_when_it_is_on_every_upstream_that_is_up(silent: Address) -> None:
    class Without(Plane):
        def model_ready(self, name: str, version: str) -> bool:  # noqa: ARG002
            return False

    with serving(Plane()) as one, serving(Without()) as two:
        with linked(one.address, two.address) as link:
            all_up(link, 2)
            assert link.model_ready(ModelName("m", "1"), timeout_s=TIMEOUT_S) is False
        with linked(one.address, silent, connect_ms=100.0) as link:
            assert link.model_ready(ModelName("m", "1"), timeout_s=TIMEOUT_S) is True


def test_no_future_keeps_its_tensors_in_a_cycle() -> None:
    with serving(Plane(echo)) as server, linked(server.address) as link:
        gc.collect()
        gc.disable()
        try:
            future = link.infer(ask(1), soon())
            assert value_of(future) == 1
            gone = weakref.ref(future)
            eventually(lambda: not link._inflight.all())
            del future
            eventually(lambda: gone() is None)
        finally:
            gc.enable()


def test_callers_on_many_threads_each_get_their_own() -> None:
    answers: queue.SimpleQueue[tuple[float, float]] = queue.SimpleQueue()

    def work(link: Upstreams, base: int) -> None:
        for value in range(base, base + 25):
            answers.put((value, value_of(link.infer(ask(value, id="same"), soon()))))

    with serving(Plane(echo)) as one, serving(Plane(echo)) as two, linked(one.address, two.address) as link:
        all_up(link, 2)
        threads = [in_thread(partial(work, link, base)) for base in range(0, 200, 25)]
        for thread in threads:
            thread.result(TIMEOUT_S)
        given = [answers.get() for _ in range(200)]
    assert all(asked == answered for asked, answered in given)


def test_with_credentials_connections_are_made_anew_from_time_to_time() -> None:
    made: list[float] = []

    def credentials() -> None:
        made.append(time.monotonic())

    with serving(Plane(echo)) as server, linked(server.address, credentials=credentials, renew_s=1.0) as link:
        assert value_of(link.infer(ask(1), soon())) == 1
        eventually(lambda: len(made) >= 2)
        assert made[1] - made[0] >= 0.9
        assert value_of(link.infer(ask(2), soon())) == 2


def test_a_certificate_that_cannot_be_read_is_a_link_that_cannot_be_made(caplog: pytest.LogCaptureFixture) -> None:
    def credentials() -> None:
        raise ConfigError("certificate.pem: no such file")

    with serving(Plane(echo)) as server, linked(server.address, credentials=credentials) as link:
        assert not link.wait_until_known(TIMEOUT_S)
        eventually(lambda: "certificate.pem: no such file" in caplog.text)
        with pytest.raises(UnavailableError, match="cannot be reached"):
            link.infer(ask(), soon())
