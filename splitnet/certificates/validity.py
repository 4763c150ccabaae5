"""From when until when a certificate holds."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from cryptography import x509

from splitnet.errors import InvalidArgumentError

# Machines without a battery behind their clock are late for a while after they start.
_SKEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Validity:
    """A span of time, both ends in UTC and whole seconds, as X.509 has them."""

    start: datetime
    end: datetime

    @classmethod
    def from_now(cls, *, days: float, now: datetime | None = None) -> Self:
        """Begin an hour before `now`, for clocks that are late, and end `days` after it.

        Args:
            days: above 0.
            now: None is the clock's.

        Raises:
            InvalidArgumentError: there are no such days.
        """
        if not days > 0:  # nan is not, either
            raise InvalidArgumentError(f"{days} days: expected more than 0")
        moment = (now or datetime.now(UTC)).replace(microsecond=0)
        try:
            end = moment + timedelta(days=days)
        except OverflowError as err:
            raise InvalidArgumentError(f"{days} days: no certificate can last so long") from err
        if end <= moment:
            raise InvalidArgumentError(f"{days} days: expected a second or more")
        return cls(moment - _SKEW, end)

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Self:
        """Return when `certificate` holds."""
        return cls(certificate.not_valid_before_utc, certificate.not_valid_after_utc)

    def within(self, other: Self) -> Self:
        """Return this span, cut where `other` ends.

        Raises:
            InvalidArgumentError: nothing of it is left.
        """
        if other.end <= datetime.now(UTC):
            raise InvalidArgumentError(f"the authority's own certificate ended on {day(other.end)}: renew it")
        return type(self)(max(self.start, other.start), min(self.end, other.end))

    def left_s(self) -> float:
        """Return the seconds that are left; below 0 once it has ended."""
        return (self.end - datetime.now(UTC)).total_seconds()

    def wrong(self) -> str | None:
        """Say what is wrong with it now, as in "ended on …"; None where nothing is."""
        now = datetime.now(UTC)
        if now > self.end:
            return f"ended on {day(self.end)}"
        return f"begins on {day(self.start)} only: see that the clock is right" if now < self.start else None


def day(moment: datetime) -> str:
    """Write a moment as people read it, to the minute."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
