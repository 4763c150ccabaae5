"""What decides when a tier above is asked again: pauses, the breaker, the retry budget."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.link.client.backoff import Backoff
from splitnet.link.client.breaker import Breaker
from splitnet.link.client.budget import RetryBudget


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**32),
    first_s=st.floats(0.001, 10),
    most_s=st.floats(0.001, 10),
    attempts=st.integers(1, 20),
)
def test_pauses_are_drawn_below_a_bound_that_doubles(
    seed: int, first_s: float, most_s: float, attempts: int
) -> None:
    backoff = Backoff(first_s, most_s, random.Random(seed))  # noqa: S311
    pauses = [backoff.next_s() for _ in range(attempts)]
    assert all(0 <= pause <= min(first_s * 2**number, most_s) for number, pause in enumerate(pauses))
    backoff.reset()
    assert backoff.next_s() <= min(first_s, most_s)
    again = Backoff(first_s, most_s, random.Random(seed))  # noqa: S311
    assert [again.next_s() for _ in range(attempts)] == pauses


def test_pauses_do_grow() -> None:
    backoff = Backoff(0.1, 1.6, random.Random(0))  # noqa: S311
    pauses = [backoff.next_s() for _ in range(200)]
    assert 0.1 < sum(pauses[4:]) / len(pauses[4:]) < 1.6
    assert max(pauses) > 1.5


def test_a_breaker_opens_after_failures_in_a_row_and_an_answer_closes_it() -> None:
    states: list[str] = []
    breaker = Breaker(3, states.append)
    assert not breaker.failed()
    assert not breaker.failed()
    breaker.answered()
    assert [breaker.failed() for _ in range(3)] == [False, False, True]
    assert not breaker.admit()
    breaker.connected()
    assert [breaker.admit() for _ in range(3)] == [True, False, False]
    breaker.withdrawn()
    assert [breaker.admit() for _ in range(2)] == [True, False]
    assert breaker.failed()
    assert not breaker.admit()
    breaker.connected()
    assert breaker.admit()
    breaker.answered()
    assert all(breaker.admit() for _ in range(3))
    assert states == ["open", "half-open", "open", "half-open", "closed"]


def test_deadlines_open_a_breaker_only_where_nothing_came_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("splitnet.link.client.breaker.time.monotonic", lambda: now[0])
    breaker = Breaker(3, lambda _: None)
    for _ in range(20):  # one caller's deadlines are shorter than the way, and others are answered
        assert not any(breaker.failed(asked_s=now[0] - 0.045) for _ in range(5))
        now[0] += 0.04
        breaker.answered()
    assert not any(breaker.failed(asked_s=now[0]) for _ in range(10))
    now[0] += 0.25
    assert breaker.failed(asked_s=now[0] - 0.045)
    breaker.connected()
    assert breaker.admit()
    assert not breaker.failed(asked_s=now[0] - 0.045)  # too soon to tell
    assert breaker.admit()
    now[0] += 0.25
    assert breaker.failed(asked_s=now[0])


@given(events=st.lists(st.sampled_from(["failed", "answered", "connected", "admit"]), max_size=60))
@settings(max_examples=50)
def test_an_open_breaker_lets_nothing_pass_until_it_is_connected_anew(events: list[str]) -> None:
    breaker = Breaker(2, lambda _: None)
    failures = 0
    for event in events:
        before = breaker.state
        outcome = getattr(breaker, event)()
        if event == "admit":
            assert outcome or before != "closed"
            assert not (outcome and before == "open")
        failures = failures + 1 if event == "failed" else 0 if event == "answered" else failures
        assert (breaker.state == "closed") <= (failures < 2)


@settings(max_examples=50)
@given(share=st.floats(0.01, 1), most=st.integers(1, 20), asked=st.lists(st.booleans(), max_size=300))
def test_retries_stay_within_their_share(share: float, most: int, asked: list[bool]) -> None:
    budget = RetryBudget(share, most)
    requests = retries = 0
    for is_request in asked:
        if is_request:
            budget.note_request()
            requests += 1
        else:
            retries += budget.take()
    assert retries <= most + share * requests + 1e-6


def test_a_full_window_may_be_tried_again_at_once_and_a_share_of_0_never() -> None:
    budget = RetryBudget(0.125, 4)
    assert [budget.take() for _ in range(6)] == [True] * 4 + [False] * 2
    for _ in range(8):
        budget.note_request()
    assert [budget.take() for _ in range(2)] == [True, False]
    never = RetryBudget(0.0, 4)
    never.note_request()
    assert not never.take()
