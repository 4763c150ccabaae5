"""The kinds of value that deployment, machine and profile files hold."""

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from splitnet.errors import InvalidArgumentError
from splitnet.units import parse_rate, parse_size


def _read_by(parse: Callable[[Any], float]) -> BeforeValidator:
    """Have pydantic, which collects errors with their paths, read a value with `parse`.

    What is expected, the field's description says.
    """

    def read(value: Any) -> float:  # noqa: ANN401 -- whatever the file holds
        try:
            return parse(value)
        except (InvalidArgumentError, TypeError, ValueError, OverflowError) as err:
            raise PydanticCustomError("quantity", "no such quantity") from err

    return BeforeValidator(read)


Positive: TypeAlias = Annotated[float, Field(gt=0)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0)]
Count: TypeAlias = Annotated[int, Field(ge=1)]
#: Bits a second, as a number or as text such as "20M".
Rate: TypeAlias = Annotated[
    float, _read_by(parse_rate), Field(description="bits a second above zero, such as 20000000 or '20M'")
]
#: Bytes, as a whole number or as text such as "512M".
Size: TypeAlias = Annotated[
    int, _read_by(parse_size), Field(description="bytes above zero, such as 512000000, '512M' or '2Gi'")
]
