"""A future made of another one: the same end, cancelled together, and nothing that keeps both alive."""

import gc
import weakref
from concurrent.futures import CancelledError, Future

import pytest

from splitnet.errors import NotFoundError, UnavailableError
from splitnet.tier.chained import Chained


def pair() -> tuple["Future[int]", "Chained[int, str]"]:
    source: Future[int] = Future()
    return source, Chained(source, str)


def test_it_ends_with_what_is_made_of_the_result() -> None:
    source, chained = pair()
    assert not chained.done()
    source.set_result(7)
    assert chained.result(0) == "7"


@pytest.mark.parametrize("error", [NotFoundError("no such model"), ValueError("a fault of ours")])
def test_it_ends_with_the_error(error: Exception) -> None:
    source, chained = pair()
    source.set_exception(error)
    assert chained.exception(0) is error


def test_what_making_raises_is_its_error(caplog: pytest.LogCaptureFixture) -> None:
    source: Future[int] = Future()
    chained = Chained(source, lambda number: 1 // number)
    source.set_result(0)
    assert isinstance(chained.exception(0), ZeroDivisionError)
    assert "nothing could be made" in caplog.text


def test_to_cancel_it_cancels_its_source() -> None:
    source, chained = pair()
    assert chained.cancel()
    assert source.cancelled()
    with pytest.raises(CancelledError):
        chained.result(0)


def test_what_has_begun_ends_unheard() -> None:
    source, chained = pair()
    source.set_running_or_notify_cancel()
    assert chained.cancel()
    source.set_result(7)
    assert chained.cancelled()


def test_a_source_that_somebody_else_cancels_is_unavailable() -> None:
    source, chained = pair()
    source.cancel()
    assert isinstance(chained.exception(0), UnavailableError)


def test_nothing_is_left_to_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        source, chained = pair()
        gone = weakref.ref(source), weakref.ref(chained)
        source.set_result(7)
        del chained
        assert gone[1]() is None  # though the source is kept
        del source
        assert gone[0]() is None
    finally:
        gc.enable()
