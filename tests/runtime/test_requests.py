"""Requests that wait: cancelled, expired, urgent, or computed where they are asked."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait

import numpy as np
import pytest

from splitnet.config import BatchingConfig
from splitnet.deadline import Deadline
from splitnet.errors import (
    CancelledError,
    DeadlineExceededError,
    InvalidArgumentError,
    OverloadedError,
    UnavailableError,
)
from splitnet.runtime import Answer, BoundedExecutor, Pipeline
from splitnet.telemetry import Events
from splitnet.tensors import Tensors
from tests.runtime.gate import held
from tests.runtime.segments import Y, failing, past, recording, soon, stage

TIMEOUT_S = 30.0
U = {"u": np.ones((1, 4), np.float32)}


class Depths(Events):
    """Notes how many requests were held, whenever that was told."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def queue_depth(self, waiting: int) -> None:
        self.seen.append(waiting)


class Order:
    """Notes which requests are computed, in which order and on which thread."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.threads: list[str] = []

    def of(self, name: str) -> Callable[[], Tensors]:
        """What gives the values of the request `name`."""

        def load() -> Tensors:
            self.seen.append(name)
            self.threads.append(threading.current_thread().name)
            return U

        return load


@pytest.fixture
def depths() -> Depths:
    return Depths()


@pytest.fixture
def executor(depths: Depths) -> Iterator[BoundedExecutor]:
    made = BoundedExecutor(workers=1, limit=4, name="compute", events=depths)
    yield made
    made.close()


@pytest.fixture
def pipeline(executor: BoundedExecutor) -> Pipeline:
    return Pipeline([stage("cloud")], [Y], executor)


def test_a_cancelled_request_leaves_at_once_and_is_not_computed(
    pipeline: Pipeline, executor: BoundedExecutor, depths: Depths
) -> None:
    gate, order = held(executor), Order()
    futures = [pipeline.submit(U, soon(), load=order.of(name)) for name in "abc"]
    assert executor.depth == 4
    with pytest.raises(OverloadedError):
        pipeline.submit(U, soon())
    assert futures[1].cancel()
    assert futures[1].cancelled()
    assert wait([futures[1]], timeout=TIMEOUT_S).done  # though nothing has been computed since
    assert executor.depth == depths.seen[-1] == 3
    futures.append(pipeline.submit(U, soon(), load=order.of("d")))  # there is room again
    gate.opened.set()
    for future in (futures[0], *futures[2:]):
        assert future.result(TIMEOUT_S).exits == ("cloud",)
    assert order.seen == ["a", "c", "d"]


def test_what_has_begun_cannot_be_cancelled(pipeline: Pipeline) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def load() -> Tensors:
        begun.set()
        assert go_on.wait(TIMEOUT_S)
        return U

    future = pipeline.submit(U, soon(), load=load)
    assert begun.wait(TIMEOUT_S)
    assert not future.cancel()
    go_on.set()
    assert future.result(TIMEOUT_S).exits == ("cloud",)
    assert not future.cancel()


def test_what_has_gone_up_is_called_off_above(executor: BoundedExecutor) -> None:
    above: list[Future[Answer]] = []

    def forward(*_: object, **__: object) -> "Future[Answer]":
        above.append(Future())
        return above[-1]

    batching = BatchingConfig(max_samples=8)
    pipeline = Pipeline([stage("edge", exits=False)], [Y], executor, forward=forward, batching=batching)
    gate = held(executor)
    futures = [pipeline.submit({"t": U["u"]}, soon()) for _ in range(2)]
    gate.opened.set()
    executor.submit(gate.wait)
    assert gate.ended.acquire(timeout=TIMEOUT_S)
    assert gate.ended.acquire(timeout=TIMEOUT_S)  # behind the requests: they have gone up, as one message
    assert not futures[0].cancel()
    assert not above[0].cancelled()  # the other request waits for it
    assert not futures[1].cancel()
    assert above[0].cancelled()
    for future in futures:
        assert isinstance(future.exception(TIMEOUT_S), CancelledError)


def test_what_is_cancelled_while_it_computes_does_not_go_up(executor: BoundedExecutor) -> None:
    forward = recording(failing(UnavailableError("never asked"), at_once=True))
    pipeline = Pipeline([stage("edge")], [Y], executor, forward=forward)
    begun, go_on = threading.Event(), threading.Event()

    def load() -> Tensors:
        begun.set()
        assert go_on.wait(TIMEOUT_S)
        return {"t": U["u"]}

    future = pipeline.submit({"t": U["u"]}, soon(), load=load)
    assert begun.wait(TIMEOUT_S)
    future.cancel()
    go_on.set()
    assert isinstance(future.exception(TIMEOUT_S), CancelledError)
    assert forward.sent == []


def test_requests_that_are_cancelled_while_others_are_taken(executor: BoundedExecutor) -> None:
    pipeline = Pipeline([stage("cloud")], [Y], executor, batching=BatchingConfig(max_samples=4))
    for _ in range(50):
        futures = [pipeline.submit(U, soon()) for _ in range(3)]
        cancelled = futures[1].cancel()  # begun or not: one of the two, never both
        assert wait(futures, timeout=TIMEOUT_S).not_done == set()
        assert futures[1].cancelled() == cancelled
        assert [future.result().exits for future in (futures[0], futures[2])] == [("cloud",)] * 2
    executor.close(timeout_s=TIMEOUT_S)
    assert executor.depth == 0


def test_the_expired_are_answered_before_others_are_computed(
    pipeline: Pipeline, executor: BoundedExecutor
) -> None:
    gate, order = held(executor), Order()
    first = pipeline.submit(U, soon(), load=order.of("first"))
    late = pipeline.submit(U, past(), load=order.of("late"))
    answered: list[Future[Answer]] = []
    for future in (first, late):
        future.add_done_callback(answered.append)
    gate.opened.set()
    assert isinstance(late.exception(TIMEOUT_S), DeadlineExceededError)
    assert first.result(TIMEOUT_S).exits == ("cloud",)
    assert answered == [late, first]
    assert order.seen == ["first"]


def test_the_expired_take_no_place(pipeline: Pipeline, executor: BoundedExecutor) -> None:
    gate = held(executor)
    late = [pipeline.submit(U, past()) for _ in range(3)]
    future = pipeline.submit(U, soon())
    assert all(isinstance(each.exception(TIMEOUT_S), DeadlineExceededError) for each in late)
    gate.opened.set()
    assert future.result(TIMEOUT_S).exits == ("cloud",)


@pytest.mark.parametrize("batching", [BatchingConfig(max_samples=1), BatchingConfig(max_samples=8)])
def test_the_urgent_go_first(batching: BatchingConfig, executor: BoundedExecutor) -> None:
    pipelines = [Pipeline([stage("cloud")], [Y], executor, batching=batching) for _ in range(2)]
    gate, order = held(executor), Order()
    futures = [
        pipelines[at % 2].submit(U, soon(), load=order.of(name), priority=priority)
        for at, (name, priority) in enumerate([("low", 3), ("plain", 0), ("high", 1)])
    ]
    gate.opened.set()
    for future in futures:
        future.result(TIMEOUT_S)
    assert order.seen == ["high", "plain", "low"]


def test_two_is_as_none_and_less_is_refused(pipeline: Pipeline, executor: BoundedExecutor) -> None:
    gate, order = held(executor), Order()
    futures = [
        pipeline.submit(U, soon(), load=order.of(str(at)), priority=priority)
        for at, priority in enumerate([2, 0, 2])
    ]
    gate.opened.set()
    for future in futures:
        future.result(TIMEOUT_S)
    assert order.seen == ["0", "1", "2"]
    with pytest.raises(InvalidArgumentError, match="priority: expected 0 or more, got -1"):
        pipeline.submit(U, soon(), priority=-1)


def test_a_request_is_computed_where_it_is_asked_if_nobody_is_busy(
    pipeline: Pipeline, executor: BoundedExecutor
) -> None:
    order, here = Order(), threading.current_thread().name
    future = pipeline.submit(U, soon(), load=order.of("idle"), inline=True)
    assert future.done()
    assert future.result().exits == ("cloud",)
    assert future.result().queue_ms == {"cloud": 0.0}
    gate = held(executor)
    waits = pipeline.submit(U, soon(), load=order.of("busy"), inline=True)
    assert not waits.done()
    gate.opened.set()
    assert waits.result(TIMEOUT_S).queue_ms["cloud"] > 0
    assert order.threads == [here, "compute_0"]


def test_where_others_are_waited_for_nothing_is_computed_where_it_is_asked(executor: BoundedExecutor) -> None:
    order = Order()
    batching = BatchingConfig(max_samples=2, max_delay_ms=5)
    pipeline = Pipeline([stage("cloud")], [Y], executor, batching=batching)
    pipeline.submit(U, soon(), load=order.of("a"), inline=True).result(TIMEOUT_S)
    assert order.threads == ["compute_0"]


def test_what_is_computed_where_it_is_asked_takes_a_worker(pipeline: Pipeline, executor: BoundedExecutor) -> None:
    order = Order()
    inner: list[Future[Answer]] = []

    def load() -> Tensors:
        order.of("outer")()
        # Were a worker free for it this would be over before the outer request goes on.
        inner.append(pipeline.submit(U, soon(), load=order.of("inner")))
        assert executor.depth == 2
        with pytest.raises(TimeoutError):
            inner[0].result(0.1)
        return U

    outer = pipeline.submit(U, soon(), load=load, inline=True)
    assert outer.done()
    assert inner[0].result(TIMEOUT_S).exits == ("cloud",)
    assert order.seen == ["outer", "inner"]
    assert order.threads == [threading.current_thread().name, "compute_0"]


def test_the_depth_is_told(pipeline: Pipeline, executor: BoundedExecutor, depths: Depths) -> None:
    gate = held(executor)
    futures = [pipeline.submit(U, soon()) for _ in range(2)]
    assert depths.seen == [1, 2, 3]
    gate.opened.set()
    for future in futures:
        future.result(TIMEOUT_S)
    executor.close()
    assert depths.seen == [1, 2, 3, 2, 1, 0]


def test_many_requests_from_many_threads_are_all_answered() -> None:
    executor = BoundedExecutor(workers=2, limit=1024, name="compute")
    batching = BatchingConfig(max_samples=8, max_delay_ms=1)
    pipelines = [
        Pipeline([stage("cloud")], [Y], executor, batching=each)
        for each in (batching, BatchingConfig(max_samples=8))
    ]
    wrong: list[float] = []

    def ask(number: int) -> None:
        for at in range(60):
            value = number * 100 + at
            values = {"u": np.full((1 + at % 3, 4), value, np.float32)}
            future = pipelines[at % 2].submit(values, Deadline.after_ms(30_000), inline=at % 5 == 0)
            if not (future.result(TIMEOUT_S).outputs["y"] == 3 * value).all():
                wrong.append(value)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert not wrong
    assert not any(thread.is_alive() for thread in threads)
    executor.close(timeout_s=TIMEOUT_S)
    assert executor.depth == 0


def test_a_person_may_interrupt_what_their_thread_computes(executor: BoundedExecutor) -> None:
    def interrupted() -> Tensors:
        raise KeyboardInterrupt

    pipeline = Pipeline([stage("cloud")], [Y], executor)
    with pytest.raises(KeyboardInterrupt):
        pipeline.submit(U, soon(), load=interrupted, inline=True)
    assert executor.depth == 0
    assert pipeline.submit(U, soon(), inline=True).done()
    assert pipeline.submit(U, soon()).result(TIMEOUT_S).exits == ("cloud",)


def test_a_pipeline_goes_with_its_last_request(executor: BoundedExecutor) -> None:
    pipeline = Pipeline([stage("cloud")], [Y], executor)
    gone = weakref.ref(pipeline)
    gate = held(executor)
    futures = [pipeline.submit(U, soon()) for _ in range(2)]
    gc.disable()  # what is left to it stays for as long as it likes, weights and all
    try:
        del pipeline
        assert gone() is not None
        gate.opened.set()
        for future in futures:
            future.result(TIMEOUT_S)
        executor.submit(gate.wait)  # the worker is done with them before it begins this
        assert gate.ended.acquire(timeout=TIMEOUT_S)
        assert gate.ended.acquire(timeout=TIMEOUT_S)
        assert gone() is None
    finally:
        gc.enable()
