"""A link that changes over time: its shapes, one after the other."""

import math
from dataclasses import dataclass

from splitnet.emulate.shape import LinkShape
from splitnet.errors import InvalidArgumentError


@dataclass(frozen=True, slots=True)
class Step:
    """A shape, and how long the link has it.

    Attributes:
        seconds: above 0.
        shape: of the link meanwhile.

    Raises:
        InvalidArgumentError: the time is not above 0, or not finite.
    """

    seconds: float
    shape: LinkShape

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds > 0):
            raise InvalidArgumentError(f"a step of a link must last more than 0 seconds, not {self.seconds:g}")
