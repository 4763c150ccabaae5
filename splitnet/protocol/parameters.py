"""Parameters: Python's bool, int, float and str <-> InferParameter."""

import math
from collections.abc import Mapping, MutableMapping

from splitnet.errors import InvalidArgumentError
from splitnet.protocol import open_inference_pb2 as pb
from splitnet.protocol.messages import Parameter
from splitnet.protocol.quoting import quote


def to_proto(parameters: Mapping[str, Parameter], target: MutableMapping[str, pb.InferParameter]) -> None:
    """Add `parameters` to the map field `target`.

    Raises:
        InvalidArgumentError: an int beyond 64 bits, a float that is not finite, or another type.
    """
    for name, value in parameters.items():
        # A map of messages makes its values on access; they cannot be assigned.
        choice = target[name]
        if isinstance(value, bool):
            choice.bool_param = value
        elif isinstance(value, int):
            _set_int(choice, name, value)
        elif isinstance(value, float):
            choice.double_param = _finite(name, value)
        elif isinstance(value, str):
            choice.string_param = value
        else:
            raise InvalidArgumentError(
                f"parameter {quote(name)}: expected bool, int, float or str, got {type(value).__name__}"
            )


def from_proto(source: Mapping[str, pb.InferParameter]) -> dict[str, Parameter]:
    """Return the map field `source` as Python values.

    Raises:
        InvalidArgumentError: a parameter without a value, or a float that is not finite.
    """
    return {name: _value(name, choice) for name, choice in source.items()}


def _set_int(choice: pb.InferParameter, name: str, value: int) -> None:
    if -(1 << 63) <= value < 1 << 63:
        choice.int64_param = value
    elif 0 < value < 1 << 64:
        # Some servers have no uint64_param, hence only where int64_param is too narrow.
        choice.uint64_param = value
    else:
        raise InvalidArgumentError(f"parameter {quote(name)}: expected -2**63 to 2**64 - 1, got {value:#x}")


def _value(name: str, choice: pb.InferParameter) -> Parameter:
    field = choice.WhichOneof("parameter_choice")
    if field is None:
        raise InvalidArgumentError(
            f"parameter {quote(name)} has no value; expected bool_param, int64_param, string_param, double_param"
            " or uint64_param"
        )
    value: Parameter = getattr(choice, field)
    return _finite(name, value) if isinstance(value, float) else value


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise InvalidArgumentError(f"parameter {quote(name)}: expected a finite number, got {value}")
    return value
