"""Values that are made on a compute thread: only for requests that are taken, and of errors like any other."""

import threading
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from splitnet.errors import DeadlineExceededError, InvalidArgumentError
from splitnet.runtime import BoundedExecutor, Pipeline
from splitnet.tensors import Tensors
from tests.runtime.segments import U, Y, past, soon, stage

TIMEOUT_S = 20.0
VALUES = {"u": np.arange(8, dtype=np.float32).reshape(2, 4)}
STAND_IN = {"u": np.broadcast_to(np.zeros((), np.float32), (2, 4))}


class Loading:
    """What gives the values, and notes on which threads."""

    def __init__(self, error: Exception | None = None) -> None:
        self.threads: list[str] = []
        self._error = error

    def __call__(self) -> Tensors:
        self.threads.append(threading.current_thread().name)
        if self._error is not None:
            raise self._error
        return VALUES


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    with closing(BoundedExecutor(workers=1, limit=4, name="compute")) as executor:
        yield Pipeline([stage("cloud")], [Y], executor, max_batch=2)


def test_values_are_made_on_a_compute_thread(pipeline: Pipeline) -> None:
    load = Loading()
    answer = pipeline.submit(STAND_IN, soon(), load=load).result(TIMEOUT_S)
    np.testing.assert_array_equal(answer.outputs["y"], 3 * VALUES["u"])
    assert load.threads == ["compute_0"]


def test_values_of_a_refused_request_are_never_made(pipeline: Pipeline) -> None:
    load = Loading()
    for wrong in (
        {"u": np.broadcast_to(np.float32(0), (3, 4))},
        {"u": np.broadcast_to(np.float32(0), (2, 5))},
        {},
    ):
        with pytest.raises(InvalidArgumentError):
            pipeline.submit(wrong, soon(), load=load)
    late = pipeline.submit(STAND_IN, past(), load=load)
    assert isinstance(late.exception(TIMEOUT_S), DeadlineExceededError)
    assert load.threads == []


@pytest.mark.parametrize("error", [InvalidArgumentError("no frame"), KeyError("bug")])
def test_values_that_cannot_be_made_end_the_request(pipeline: Pipeline, error: Exception) -> None:
    assert pipeline.submit(STAND_IN, soon(), load=Loading(error)).exception(TIMEOUT_S) is error
    assert pipeline.submit(VALUES, soon()).result(TIMEOUT_S).exits == ("cloud", "cloud")
    assert U.check(STAND_IN["u"]) == 2
