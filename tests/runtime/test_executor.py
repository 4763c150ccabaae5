"""The bounded executor: it refuses instead of growing, and ends in order."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.errors import OverloadedError, UnavailableError
from splitnet.runtime import BoundedExecutor
from tests.runtime.gate import Gate


@settings(max_examples=20)
@given(st.integers(1, 3), st.integers(1, 6))
def test_it_holds_just_so_many_calls(workers: int, limit: int) -> None:
    gate, executor = Gate(), BoundedExecutor(workers=workers, limit=limit, name="t")
    for _ in range(limit):
        executor.submit(gate.wait)
    for _ in range(2):
        with pytest.raises(OverloadedError, match=rf"the queue is full \({limit} requests\)"):
            executor.submit(gate.wait)
    gate.opened.set()
    executor.close()
    assert all(gate.ended.acquire(blocking=False) for _ in range(limit))
    assert not gate.ended.acquire(blocking=False)


def test_a_call_that_has_ended_makes_room() -> None:
    executor = BoundedExecutor(workers=1, limit=2, name="t")
    gate, second, third = Gate(), threading.Event(), threading.Event()
    executor.submit(gate.wait)
    executor.submit(second.set)
    with pytest.raises(OverloadedError):
        executor.submit(third.set)
    gate.opened.set()
    assert second.wait(30)  # On the one thread: the first call is over and done with.
    executor.submit(third.set)
    assert third.wait(30)
    executor.close()


def test_calls_run_in_order_on_threads_of_its_own() -> None:
    executor = BoundedExecutor(workers=1, limit=8, name="edge")
    seen: list[tuple[int, str]] = []
    for number in range(8):
        executor.submit(lambda given: seen.append((given, threading.current_thread().name)), number)
    executor.close()
    assert [number for number, _ in seen] == list(range(8))
    assert {name.startswith("edge") for _, name in seen} == {True}


def test_close_finishes_what_is_held_and_takes_no_more() -> None:
    gate, executor = Gate(), BoundedExecutor(workers=1, limit=4, name="t")
    for _ in range(3):
        executor.submit(gate.wait)
    assert gate.begun.acquire(timeout=30)
    with ThreadPoolExecutor(1) as closer:
        closing = closer.submit(executor.close)
        gate.opened.set()
        closing.result(timeout=30)
    assert all(gate.ended.acquire(blocking=False) for _ in range(3))
    for _ in range(9):  # More often than the limit: a refused call holds no place.
        with pytest.raises(UnavailableError, match="shutting down"):
            executor.submit(gate.wait)


def test_a_call_that_hangs_is_not_waited_for_beyond_the_limit(caplog: pytest.LogCaptureFixture) -> None:
    gate, executor = Gate(), BoundedExecutor(workers=1, limit=4, name="edge")
    for _ in range(2):
        executor.submit(gate.wait)
    assert gate.begun.acquire(timeout=30)
    with ThreadPoolExecutor(1) as closer:
        closer.submit(lambda: executor.close(drop=True, timeout_s=0.05)).result(timeout=10)
    assert "the edge stops, but 2 requests are not over" in caplog.text
    gate.opened.set()
    executor.close()
    assert all(gate.ended.acquire(blocking=False) for _ in range(2))


def test_a_call_that_raises_takes_no_thread_with_it(caplog: pytest.LogCaptureFixture) -> None:
    executor = BoundedExecutor(workers=1, limit=1, name="t")
    executor.submit([].index, 1)
    executor.close()
    assert "a call failed" in caplog.text
