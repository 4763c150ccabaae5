"""The error hierarchy: the class says who must act, one table says which status and exit code follow."""

from dataclasses import dataclass
from typing import TypeVar

_Error = TypeVar("_Error", bound=BaseException)


class SplitNetError(Exception):
    """Root of every error that SplitNet raises on purpose; its text is meant for a person."""


class CallerError(SplitNetError):
    """The caller must change what it asked for."""


class InvalidArgumentError(CallerError):
    """A value, tensor or option is not what was expected."""


class NotFoundError(CallerError):
    """The named model, version, file or tensor does not exist here."""


class PermissionDeniedError(CallerError):
    """The caller may not do that here; who may is in the configuration."""


class CancelledError(CallerError):
    """The caller has broken off what it asked for."""


class UnimplementedError(CallerError):
    """The protocol has such a call, but this server does not do it."""


class RefusalError(CallerError):
    """A step of a secure sum is refused: what came would endanger the sum or those who share in it.

    Attributes:
        reason: one of `splitnet.learn.secure.Reason`, for programs; the text is for people.
    """

    def __init__(self, message: str, *, reason: str = "refused") -> None:
        super().__init__(message)
        self.reason = reason


class PeerError(SplitNetError):
    """The other side of a link failed or is gone; the same call may work later."""


class UnavailableError(PeerError):
    """The peer cannot be reached, or is shutting down."""


class DeadlineExceededError(PeerError):
    """No answer came within the time that was given."""


class OverloadedError(PeerError):
    """A bounded queue, window or stream is full."""


class PeerProtocolError(PeerError):
    """The peer sent something that the protocol does not allow."""


class OperatorError(SplitNetError):
    """The person who runs SplitNet must mend a file or a setting."""


class ConfigError(OperatorError):
    """A configuration or deployment file is wrong."""


class PackageError(OperatorError):
    """A package is damaged, altered, or of a format this version does not read."""


class ModelError(OperatorError):
    """A model cannot be loaded, cut or verified."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an error becomes outside Python: a gRPC status name and a process exit code."""

    status: str
    exit_code: int


_OUTCOMES: dict[type[SplitNetError], Outcome] = {
    InvalidArgumentError: Outcome("INVALID_ARGUMENT", 2),
    NotFoundError: Outcome("NOT_FOUND", 2),
    PermissionDeniedError: Outcome("PERMISSION_DENIED", 2),
    CancelledError: Outcome("CANCELLED", 2),
    UnimplementedError: Outcome("UNIMPLEMENTED", 2),
    RefusalError: Outcome("FAILED_PRECONDITION", 2),
    CallerError: Outcome("INVALID_ARGUMENT", 2),
    ConfigError: Outcome("FAILED_PRECONDITION", 3),
    PackageError: Outcome("FAILED_PRECONDITION", 3),
    ModelError: Outcome("FAILED_PRECONDITION", 3),
    OperatorError: Outcome("FAILED_PRECONDITION", 3),
    UnavailableError: Outcome("UNAVAILABLE", 4),
    DeadlineExceededError: Outcome("DEADLINE_EXCEEDED", 4),
    OverloadedError: Outcome("RESOURCE_EXHAUSTED", 4),
    PeerProtocolError: Outcome("INTERNAL", 4),
    PeerError: Outcome("UNAVAILABLE", 4),
    SplitNetError: Outcome("INTERNAL", 1),
}


def outcome_of(error: BaseException) -> Outcome:
    """Return the status and exit code of `error`; anything unknown is INTERNAL and 1."""
    for cls in type(error).__mro__:
        outcome = _OUTCOMES.get(cls)
        if outcome is not None:
            return outcome
    return Outcome("INTERNAL", 1)


_BY_STATUS: dict[str, type[SplitNetError]] = {
    "INVALID_ARGUMENT": InvalidArgumentError,
    "NOT_FOUND": NotFoundError,
    "FAILED_PRECONDITION": OperatorError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "CANCELLED": CancelledError,
    "UNIMPLEMENTED": UnimplementedError,
    "UNAVAILABLE": UnavailableError,
    "DEADLINE_EXCEEDED": DeadlineExceededError,
    "RESOURCE_EXHAUSTED": OverloadedError,
}


def error_from_status(status: str, message: str) -> SplitNetError:
    """Turn a peer's gRPC status name and text into the error to raise on this side."""
    return _BY_STATUS.get(status, PeerProtocolError)(message)


def without_frames(error: _Error) -> _Error:
    """Return `error` for a future to end with: without tracebacks, its own and those of what it came from.

    They lead to every frame on the way and to all of its callers', and these to the future: a circle, which would
    keep the request's tensors until the next full collection. Log before what nobody expects.
    """
    error.__traceback__ = None
    for source in (error.__cause__, error.__context__):
        if source is not None and source.__traceback__ is not None:
            without_frames(source)
    return error
