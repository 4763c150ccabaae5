"""However a request ends, its tensors are freed then, not with a later collection of circles."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait

import numpy as np
import pytest

from splitnet.config import BatchingConfig
from splitnet.errors import InvalidArgumentError, OverloadedError, UnavailableError, without_frames
from splitnet.runtime import Answer, BoundedExecutor, Forward, Pipeline, Segment, Stage
from splitnet.tensors import BATCH, Array, Tensors, TensorSpec
from tests.runtime.garbage import tensors_in_circles, uncollected
from tests.runtime.gate import held
from tests.runtime.segments import Y, past, soon, stage
from tests.runtime.test_batching import picking

TIMEOUT_S = 30.0
TOGETHER = BatchingConfig(max_samples=8)


@pytest.fixture(scope="module", autouse=True)
def no_collections() -> Iterator[None]:
    with uncollected():
        yield


@pytest.fixture
def executor() -> Iterator[BoundedExecutor]:
    executor = BoundedExecutor(workers=1, limit=4, name="test")
    yield executor
    executor.close(timeout_s=TIMEOUT_S)


def t() -> Tensors:
    return {"t": np.zeros((2, 4), np.float32)}


def later(settle: "Callable[[Future[Answer]], object]") -> Forward:
    """A way up whose answer comes on another thread."""

    def forward(*_: object, **__: object) -> "Future[Answer]":
        future: Future[Answer] = Future()
        threading.Timer(0.01, settle, [future]).start()
        return future

    return forward


def at_once(*_: object, **__: object) -> "Future[Answer]":
    raise UnavailableError("down")


def cancels(future: "Future[Answer]") -> None:
    future.cancel()
    future.set_running_or_notify_cancel()


ABOVE = {
    "answers": later(lambda future: future.set_result(_answer(np.zeros((2, 4), np.float32)))),
    "answers wrongly": later(lambda future: future.set_result(_answer(np.zeros((2, 3), np.float32)))),
    "is down": at_once,
    "fails": later(lambda future: future.set_exception(UnavailableError("gone"))),
    "refuses": later(lambda future: future.set_exception(InvalidArgumentError("too large"))),
    "breaks": later(lambda future: future.set_exception(RuntimeError("a fault"))),
    "cancels": later(cancels),
}


def _answer(y: Array) -> Answer:
    return Answer({"y": y}, ("cloud",) * 2, ("",) * 2)


def all_freed(executor: BoundedExecutor) -> bool:
    """Whether nothing is left for a collection, once the compute thread has let go of its last."""
    idle = threading.Event()
    executor.submit(idle.set)
    assert idle.wait(TIMEOUT_S)
    return tensors_in_circles() == []


@pytest.mark.parametrize("together", [1, 3])
@pytest.mark.parametrize("exits", [True, False], ids=["exits", "no exits"])
@pytest.mark.parametrize("above", ABOVE)
def test_whatever_the_tier_above_does(
    executor: BoundedExecutor, above: str, *, exits: bool, together: int
) -> None:
    edge = Pipeline([stage("edge", exits=exits)], [Y], executor, forward=ABOVE[above], batching=TOGETHER)
    gate = held(executor)
    futures = [edge.submit(t(), soon()) for _ in range(together)]
    gate.opened.set()
    assert not wait(futures, TIMEOUT_S).not_done
    del futures
    assert all_freed(executor)


def broken() -> Tensors:
    raise InvalidArgumentError("not an image")


def faulty() -> Tensors:
    raise ZeroDivisionError


@pytest.mark.parametrize("load", [broken, faulty])
def test_values_that_cannot_be_made(executor: BoundedExecutor, load: Callable[[], Tensors]) -> None:
    edge = Pipeline([stage("edge")], [Y], executor, batching=TOGETHER)
    assert edge.submit(t(), soon(), load=load).exception(TIMEOUT_S) is not None
    assert all_freed(executor)


def test_what_never_begins(executor: BoundedExecutor) -> None:
    edge = Pipeline([stage("edge")], [Y], executor, batching=TOGETHER)
    gate = held(executor)
    cancelled, expired, answered = (edge.submit(t(), by) for by in (soon(), past(), soon()))
    late = edge.submit(t(), soon())  # of four places the gate has one; what has expired gives way to this
    with pytest.raises(OverloadedError):
        edge.submit(t(), soon())
    assert cancelled.cancel()
    assert expired.exception(TIMEOUT_S) is not None
    gate.opened.set()
    assert not wait([answered, late], TIMEOUT_S).not_done
    del cancelled, expired, answered, late
    assert all_freed(executor)


def test_what_a_model_cannot_compute(executor: BoundedExecutor) -> None:
    row, picked = TensorSpec("i", "int64", (BATCH,)), TensorSpec("o", "float32", (BATCH,))
    only = Stage("cloud", Segment(picking(), name="picking"), None, (row,), (), ("o",))
    pipeline = Pipeline([only], [picked], executor, batching=TOGETHER)
    gate = held(executor)
    futures = [pipeline.submit({"i": np.array([index])}, soon()) for index in (0, 9, 8)]
    gate.opened.set()
    assert [future.exception(TIMEOUT_S) is None for future in futures] == [True, False, False]
    del futures
    assert all_freed(executor)


def test_an_error_without_frames_tells_what_it_told() -> None:
    def fail() -> None:
        try:
            raise KeyError("a")
        except KeyError as err:
            raise UnavailableError("b") from err

    with pytest.raises(UnavailableError) as caught:
        fail()
    error = without_frames(caught.value)
    assert error is caught.value
    assert (str(error), str(error.__cause__)) == ("b", "'a'")
    assert error.__cause__ is not None
    assert (error.__traceback__, error.__cause__.__traceback__) == (None, None)
