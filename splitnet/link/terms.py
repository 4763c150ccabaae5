"""What a request asks of a server beside its tensors: by when, how urgently, or to forget another one."""

from typing import TypeGuard

from splitnet.deadline import Deadline
from splitnet.errors import InvalidArgumentError
from splitnet.protocol import InferRequest

#: Request parameter: how long the caller will wait, milliseconds.
DEADLINE_PARAMETER = "splitnet_deadline_ms"
#: Request parameter: true drops the unanswered request of the same id on this stream; nothing answers it. Also the
#: name of the extension.
CANCEL_PARAMETER = "splitnet_cancel"

# Triton's names, which have no prefix.
_TIMEOUT_PARAMETER = "timeout"  # microseconds; 0 for none
_PRIORITY_PARAMETER = "priority"  # 1 is the highest; 0 for none
_FINAL_PARAMETER = "triton_enable_empty_final_response"
_SEQUENCE_PARAMETERS = ("sequence_id", "sequence_start", "sequence_end")

# What answers `_FINAL_PARAMETER`: whether this is a request's last response.
FINAL_RESPONSE_PARAMETER = "triton_final_response"

_LARGEST_PRIORITY = 2**32 - 1


def deadline_of(request: InferRequest, default_ms: float, call_s: float | None = None) -> Deadline:
    """Return when `request` expires: the least of its parameters, its gRPC deadline and the default.

    Args:
        request: may carry `splitnet_deadline_ms`, a number, and Triton's `timeout`.
        default_ms: this tier's own limit, milliseconds.
        call_s: what gRPC says is left of the call, seconds.
    """
    limit_ms = default_ms
    asked_ms = request.parameters.get(DEADLINE_PARAMETER)
    if _is_number(asked_ms):
        limit_ms = min(limit_ms, asked_ms)
    timeout_us = request.parameters.get(_TIMEOUT_PARAMETER)
    if _is_number(timeout_us) and timeout_us:
        limit_ms = min(limit_ms, timeout_us / 1e3)
    if call_s is not None:
        limit_ms = min(limit_ms, call_s * 1e3)
    return Deadline.after_ms(max(0.0, limit_ms))


def priority_of(request: InferRequest) -> int:
    """Return Triton's `priority` of `request`: 1 is the highest, 0 says nothing.

    Raises:
        InvalidArgumentError: it is not a whole number from 0 to 2**32 - 1.
    """
    asked = request.parameters.get(_PRIORITY_PARAMETER, 0)
    if isinstance(asked, bool) or not isinstance(asked, int) or not 0 <= asked <= _LARGEST_PRIORITY:
        raise InvalidArgumentError(
            f"parameter {_PRIORITY_PARAMETER!r}: expected a whole number, 1 for the highest or 0 for none"
        )
    return asked


def check_is_single(request: InferRequest) -> None:
    """Refuse a request that is part of a sequence: a server that forgot the others would answer wrongly.

    Raises:
        InvalidArgumentError: a parameter says that it is.
    """
    for name in _SEQUENCE_PARAMETERS:
        if name in request.parameters:
            raise InvalidArgumentError(
                f"parameter {name!r}: sequences are not supported; each request is computed by itself"
            )


def cancels(request: InferRequest) -> bool:
    """Whether `request` only asks to drop the unanswered one of its id."""
    return request.parameters.get(CANCEL_PARAMETER) is True


def wants_final_mark(request: InferRequest) -> bool:
    """Whether the caller looks for Triton's mark of a last response, which every answer of ours is."""
    return request.parameters.get(_FINAL_PARAMETER) is True


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
