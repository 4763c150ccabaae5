"""Deadline: the moment until which an answer is worth having, passed on less what is spent."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on this process's monotonic clock.

    Attributes:
        at_s: `time.monotonic()` seconds.
    """

    at_s: float

    @classmethod
    def after_ms(cls, milliseconds: float) -> "Deadline":
        """Return the deadline that many milliseconds from now."""
        return cls(time.monotonic() + milliseconds / 1e3)

    def remaining_s(self) -> float:
        """Return the seconds left, 0 when it has passed."""
        return max(0.0, self.at_s - time.monotonic())

    def remaining_ms(self) -> float:
        """Return the milliseconds left, 0 when it has passed."""
        return self.remaining_s() * 1e3

    def earlier_by(self, seconds: float) -> "Deadline":
        """Return a deadline that leaves `seconds` in reserve."""
        return Deadline(self.at_s - seconds)

    @property
    def expired(self) -> bool:
        """Whether it has passed."""
        return time.monotonic() >= self.at_s
