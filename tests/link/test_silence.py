"""Upstreams that are silent: another is asked as well, or another connection made, and nobody pays for it."""

import queue
import random
import time

import pytest

from splitnet.config import format_address
from splitnet.deadline import Deadline
from splitnet.emulate import BlackHole, LinkShape, ShapedLink
from splitnet.errors import DeadlineExceededError, NotFoundError, OverloadedError, SplitNetError
from splitnet.link.client.inflight import InFlight
from splitnet.protocol import InferRequest, InferResponse
from tests.link.peers import TIMEOUT_S, Plane, ask, echo, linked, serving, soon, value_of
from tests.link.test_upstreams import HASTY_MS, Counting, Notes, all_up
from tests.programs.processes import eventually


def test_one_of_two_that_hangs_loses_no_request_and_is_left() -> None:
    mute, notes = Plane(), Notes()
    with (
        serving(mute) as hangs,
        serving(Plane(echo)) as stays,
        linked(hangs.address, stays.address, breaker_failures=3, events=notes) as link,
    ):
        all_up(link, 2)
        futures = [link.infer(ask(value), Deadline.after_ms(4 * HASTY_MS)) for value in range(12)]
        assert [value_of(future) for future in futures] == list(range(12))
        eventually(lambda: ("breaker", "open") in notes.told)
        assert notes.told.count(("retry", format_address(hangs.address))) == 6
        assert {exchange.upstream for exchange in notes.exchanges} == {format_address(stays.address)}


def test_beside_a_silent_connection_another_is_made_which_takes_over() -> None:
    notes = Notes()
    with (
        serving(Plane(echo)) as server,
        ShapedLink(server.address, LinkShape()) as shaped,
        linked(shaped.address, events=notes, connect_ms=1_000.0) as link,
    ):
        assert value_of(link.infer(ask(1), soon())) == 1
        shaped.inject(BlackHole())
        waits = link.infer(ask(2), soon())
        late = link.infer(ask(3), Deadline.after_ms(HASTY_MS))
        assert isinstance(late.exception(TIMEOUT_S), DeadlineExceededError)
        shaped.heal()  # but what has lost bytes stays silent
        assert value_of(waits) == 2
        assert value_of(link.infer(ask(4), soon())) == 4
    assert ("breaker", "open") not in notes.told
    assert [each for each in notes.told if each[0] == "retry"] == [("retry", format_address(shaped.address))]


def test_where_one_is_slow_and_lives_nobody_else_is_asked() -> None:
    slow, other = Plane(), Counting()
    with serving(slow) as first, serving(other) as second, linked(first.address, second.address) as link:
        all_up(link, 2)
        futures = [link.infer(ask(value), Deadline.after_ms(6_000)) for value in range(4)]
        for wait_s in (0.0, 3.3):  # by then, more than half of the time is over
            request, _, answer = slow.next()
            time.sleep(wait_s)
            answer.set_result(echo(request))
        assert [value_of(future) for future in futures] == list(range(4))
    assert other.asked == 2


@pytest.mark.parametrize("error", [OverloadedError("no room"), NotFoundError("no such version")])
def test_where_the_other_refuses_the_first_may_still_answer(error: SplitNetError) -> None:
    slow, refusals = Plane(), queue.SimpleQueue[str]()

    def refuse(request: InferRequest) -> InferResponse:
        refusals.put(request.id)
        raise error

    with serving(slow) as first, serving(Plane(refuse)) as second, linked(first.address, second.address) as link:
        all_up(link, 2)
        futures = [link.infer(ask(value), Deadline.after_ms(4 * HASTY_MS)) for value in range(2)]
        for _ in futures:
            refusals.get(timeout=TIMEOUT_S)
        for _ in futures if isinstance(error, OverloadedError) else [0]:
            request, _, answer = slow.next()
            answer.set_result(echo(request))
        errors = [type(future.exception(TIMEOUT_S)) for future in futures]
    # Whom it is asked of first and alone may say that there is no such version.
    assert errors.count(NotFoundError) == isinstance(error, NotFoundError)
    assert errors.count(type(None)) == 2 - isinstance(error, NotFoundError)


def test_of_two_that_are_slow_and_live_neither_is_left() -> None:
    notes = Notes()

    def slow(request: InferRequest) -> InferResponse:
        time.sleep(0.3)  # longer than half of the deadline
        return echo(request)

    with (
        serving(Plane(slow)) as first,
        serving(Plane(slow)) as second,
        linked(first.address, second.address, events=notes) as link,
    ):
        all_up(link, 2)
        for value in range(8):
            link.infer(ask(value), Deadline.after_ms(550)).exception(TIMEOUT_S)
        assert not [each for each in notes.told if each[0] in ("breaker", "down")]


def test_beside_one_that_is_only_slow_a_second_connection_is_made_and_no_third() -> None:
    notes = Notes()

    def slow(request: InferRequest) -> InferResponse:
        time.sleep(0.4)
        return echo(request)

    with serving(Plane(slow)) as server, linked(server.address, events=notes, breaker_failures=1000) as link:
        assert link.wait_until_known(TIMEOUT_S)
        for _ in range(14):
            late = link.infer(ask(), Deadline.after_ms(300))
            assert isinstance(late.exception(TIMEOUT_S), DeadlineExceededError)
    assert sum(each[0] == "up" for each in notes.told) <= 2


def test_an_id_is_free_again_when_all_who_were_asked_have_answered() -> None:
    inflight = InFlight(8, 1 << 20, random.Random(0))  # noqa: S311
    call = inflight.enter(ask(id="7"), soon())
    assert inflight.leave(call, late=2)
    ids = []
    for _ in range(3):
        ids.append(inflight.enter(ask(id="7"), soon()).id)
        assert inflight.find("7", object()) is None  # a late answer
    assert ids == ["7-2", "7-3", "7"]
