"""The error table: who must act becomes one status, one exit code, and a peer's status one class."""

import inspect

import pytest

from splitnet import errors
from splitnet.errors import (
    CallerError,
    ConfigError,
    DeadlineExceededError,
    InvalidArgumentError,
    ModelError,
    NotFoundError,
    OperatorError,
    OverloadedError,
    PackageError,
    PeerError,
    PeerProtocolError,
    SplitNetError,
    UnavailableError,
    error_from_status,
    outcome_of,
)

ALL = list(errors._OUTCOMES)


class FutureError(UnavailableError):
    """A class that the table does not list."""


def test_the_table_covers_every_class() -> None:
    classes = [each for _, each in inspect.getmembers(errors, inspect.isclass)]
    defined = {each for each in classes if issubclass(each, SplitNetError)}
    assert defined == set(ALL)


@pytest.mark.parametrize("kind", ALL)
def test_the_exit_code_says_who_must_act(kind: type[SplitNetError]) -> None:
    codes: dict[type[SplitNetError], int] = {CallerError: 2, OperatorError: 3, PeerError: 4}
    expected = next((code for base, code in codes.items() if issubclass(kind, base)), 1)
    assert outcome_of(kind("text")).exit_code == expected


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (InvalidArgumentError, "INVALID_ARGUMENT"),
        (NotFoundError, "NOT_FOUND"),
        (UnavailableError, "UNAVAILABLE"),
        (DeadlineExceededError, "DEADLINE_EXCEEDED"),
        (OverloadedError, "RESOURCE_EXHAUSTED"),
        (PeerProtocolError, "INTERNAL"),
        (ConfigError, "FAILED_PRECONDITION"),
        (PackageError, "FAILED_PRECONDITION"),
        (ModelError, "FAILED_PRECONDITION"),
    ],
)
def test_each_class_has_its_status(kind: type[SplitNetError], status: str) -> None:
    assert outcome_of(kind("text")).status == status


def test_a_subclass_inherits_the_outcome_of_the_nearest_class() -> None:
    assert outcome_of(FutureError("text")) == outcome_of(UnavailableError("text"))


@pytest.mark.parametrize("error", [ValueError("text"), KeyboardInterrupt(), AssertionError()])
def test_any_other_error_is_internal(error: BaseException) -> None:
    assert (outcome_of(error).status, outcome_of(error).exit_code) == ("INTERNAL", 1)


@pytest.mark.parametrize(
    "kind", [InvalidArgumentError, NotFoundError, UnavailableError, DeadlineExceededError, OverloadedError]
)
def test_a_status_comes_back_as_the_class_that_made_it(kind: type[SplitNetError]) -> None:
    back = error_from_status(outcome_of(kind("text")).status, "text")
    assert type(back) is kind
    assert str(back) == "text"


@pytest.mark.parametrize("kind", [ConfigError, PackageError, ModelError])
def test_what_a_peers_operator_must_mend_stays_an_operators(kind: type[SplitNetError]) -> None:
    assert type(error_from_status(outcome_of(kind("")).status, "")) is OperatorError


@pytest.mark.parametrize("status", ["INTERNAL", "UNKNOWN", "OK", "", "no status at all"])
def test_any_other_status_breaks_the_protocol(status: str) -> None:
    assert type(error_from_status(status, "text")) is PeerProtocolError
