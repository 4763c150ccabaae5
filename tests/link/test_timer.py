"""DeadlineTimer: callbacks come when they are due, whatever else is asked or goes wrong."""

import logging
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.deadline import Deadline
from splitnet.link.timer import DeadlineTimer

Calls = queue.SimpleQueue[int]
TIMEOUT_S = 20.0


@pytest.fixture
def timer() -> Iterator[DeadlineTimer]:
    with closing(DeadlineTimer("test-timer")) as made:
        yield made


@contextmanager
def held(timer: DeadlineTimer) -> Iterator[None]:
    """Let nothing go off until the block is left, however long a busy machine takes for what is in it."""
    go_on = threading.Event()

    def wait() -> None:
        go_on.wait(TIMEOUT_S)

    timer.call_at(Deadline.after_ms(0), wait)
    try:
        yield
    finally:
        go_on.set()


@given(waits_ms=st.lists(st.integers(-5, 20), min_size=1, max_size=20, unique=True))
@settings(max_examples=20)
def test_callbacks_come_in_the_order_of_their_deadlines(waits_ms: list[int]) -> None:
    calls: Calls = queue.SimpleQueue()
    with closing(DeadlineTimer("test-timer")) as timer:
        with held(timer):
            start = Deadline.after_ms(30)
            for wait_ms in waits_ms:
                timer.call_at(Deadline(start.at_s + wait_ms / 1e3), partial(calls.put, wait_ms))
        assert [calls.get(timeout=TIMEOUT_S) for _ in waits_ms] == sorted(waits_ms)
        assert time.monotonic() >= start.at_s + max(waits_ms) / 1e3


def test_an_earlier_deadline_overtakes_one_that_is_waited_for(timer: DeadlineTimer) -> None:
    calls: Calls = queue.SimpleQueue()
    timer.call_at(Deadline.after_ms(60_000), lambda: calls.put(2))
    timer.call_at(Deadline.after_ms(5), lambda: calls.put(1))
    assert calls.get(timeout=TIMEOUT_S) == 1
    assert calls.empty()


def test_a_callback_that_fails_is_logged_and_the_next_one_comes(
    timer: DeadlineTimer, caplog: pytest.LogCaptureFixture
) -> None:
    calls: Calls = queue.SimpleQueue()

    def fail() -> None:
        raise LookupError("no such thing")

    with caplog.at_level(logging.ERROR):
        timer.call_at(Deadline.after_ms(0), fail)
        timer.call_at(Deadline.after_ms(1), lambda: calls.put(1))
        assert calls.get(timeout=TIMEOUT_S) == 1
    assert "no such thing" in caplog.text


def test_a_deadline_at_the_end_of_time_does_not_stop_the_others(timer: DeadlineTimer) -> None:
    calls: Calls = queue.SimpleQueue()
    timer.call_at(Deadline(float("inf")), lambda: calls.put(2))
    timer.call_at(Deadline.after_ms(5), lambda: calls.put(1))
    assert calls.get(timeout=TIMEOUT_S) == 1


def test_closing_drops_what_is_not_due() -> None:
    calls: Calls = queue.SimpleQueue()
    timer = DeadlineTimer("test-timer")
    timer.call_at(Deadline.after_ms(60_000), lambda: calls.put(1))
    start_s = time.monotonic()
    timer.close()
    assert time.monotonic() - start_s < TIMEOUT_S
    assert calls.empty()


@given(cancelled=st.lists(st.booleans(), min_size=1, max_size=200))
@settings(max_examples=20)
def test_cancelled_alarms_do_not_go_off(cancelled: list[bool]) -> None:
    calls: Calls = queue.SimpleQueue()
    with closing(DeadlineTimer("test-timer")) as timer:
        with held(timer):
            due = Deadline.after_ms(30)
            alarms = [timer.call_at(due, partial(calls.put, index)) for index in range(len(cancelled))]
            for alarm, is_cancelled in zip(alarms, cancelled, strict=True):
                for _ in range(2 * is_cancelled):  # twice is once
                    timer.cancel(alarm)
            timer.call_at(due, partial(calls.put, -1))
        live = [index for index, is_cancelled in enumerate(cancelled) if not is_cancelled]
        assert [calls.get(timeout=TIMEOUT_S) for _ in (*live, -1)] == [*live, -1]
        for alarm in alarms:
            timer.cancel(alarm)  # of an alarm that has gone off: nothing
        assert calls.empty()
