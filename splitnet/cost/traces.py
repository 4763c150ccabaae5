"""A recorded bandwidth: what a link carried, second by second."""

import csv
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from splitnet.errors import ConfigError, InvalidArgumentError, NotFoundError
from splitnet.units import parse_rate

_COLUMNS = ["seconds", "bits_per_second"]
# A day at ten lines a second.
_MOST_STEPS = 864_000


@dataclass(frozen=True)
class Trace:
    """A bandwidth over time: a step function.

    Attributes:
        starts_s: when each step begins, seconds; rising, the first is 0.
        rates_bps: bits a second of each step, above zero.
        length_s: where the last step ends.
    """

    starts_s: tuple[float, ...]
    rates_bps: tuple[float, ...]
    length_s: float

    def __post_init__(self) -> None:
        if not self.starts_s or len(self.starts_s) != len(self.rates_bps):
            raise InvalidArgumentError("a trace has at least one step, and a rate for each")
        if self.starts_s[0] != 0:
            raise InvalidArgumentError(f"a trace begins at 0 seconds, not at {self.starts_s[0]:g}")
        if not all(before < after for before, after in itertools.pairwise((*self.starts_s, self.length_s))):
            raise InvalidArgumentError("the seconds of a trace rise from line to line, up to its length")
        if not (math.isfinite(self.length_s) and all(rate > 0 and math.isfinite(rate) for rate in self.rates_bps)):
            raise InvalidArgumentError("the length and the rates of a trace are finite, the rates above zero")

    @cached_property
    def _lengths_s(self) -> tuple[float, ...]:
        ends = (*self.starts_s[1:], self.length_s)
        return tuple(end - start for start, end in zip(self.starts_s, ends, strict=True))

    @property
    def mean_bps(self) -> float:
        """The constant bandwidth with the same expected time of a transfer: the harmonic mean over time.

        A transfer that begins at a random moment and is over before the bandwidth changes takes
        size · mean of 1 / rate.
        """
        spans = zip(self._lengths_s, self.rates_bps, strict=True)
        return self.length_s / math.fsum(length_s / rate_bps for length_s, rate_bps in spans)

    def quantile_bps(self, q: float) -> float:
        """Return the rate that the link is at or below for a share `q` of the time.

        Raises:
            InvalidArgumentError: `q` is not from 0 to 1.
        """
        check_share(q)
        passed_s = 0.0
        spans = sorted(zip(self.rates_bps, self._lengths_s, strict=True))
        for rate_bps, length_s in spans:
            passed_s += length_s
            if passed_s >= q * self.length_s:
                return rate_bps
        return spans[-1][0]  # rounding kept the sum just below the length


def check_share(q: float) -> None:
    """Raise InvalidArgumentError unless `q` is from 0 to 1."""
    if not 0 <= q <= 1:
        raise InvalidArgumentError(f"quantile {q!r}: expected a share, 0 to 1")


def read_trace(path: Path, *, length_s: float | None = None) -> Trace:
    """Read a CSV file with the columns seconds and bits_per_second.

    A line's rate holds until the next line's time. Without `length_s` the last line only says when the trace ends.

    Args:
        path: the file; its first line is the header.
        length_s: when the last line's rate ends, seconds.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it cannot be read, or a line is wrong; the message gives the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            steps = list(_steps(path, csv.reader(file)))
    except FileNotFoundError as err:
        raise NotFoundError(f"{path}: no such file") from err
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise ConfigError(f"{path}: not a readable CSV file: {err}") from err
    if length_s is None:
        if len(steps) < 2:
            raise ConfigError(f"{path}: {len(steps)} lines; expected two or more, or the length, in `trace_s`")
        length_s = steps.pop()[0]
    try:
        return Trace(tuple(start for start, _ in steps), tuple(rate for _, rate in steps), length_s)
    except InvalidArgumentError as err:
        raise ConfigError(f"{path}: {err}") from err


def _steps(path: Path, lines: Iterator[list[str]]) -> Iterator[tuple[float, float]]:
    header = [name.strip() for name in next(lines, [])]
    if header != _COLUMNS:
        raise ConfigError(
            f"{path}: line 1: expected the header {','.join(_COLUMNS)}, got {','.join(header)[:80]!r}"
        )
    for number, line in enumerate(lines, start=2):
        if not line:
            continue
        if number > _MOST_STEPS:
            raise ConfigError(f"{path}: more than {_MOST_STEPS} lines; take fewer, as averages over longer times")
        try:
            seconds, rate = line
            yield float(seconds), parse_rate(rate)
        except (ValueError, InvalidArgumentError) as err:
            raise ConfigError(
                f"{path}: line {number}: expected seconds and bits a second above zero, such as 1.5,20000000; "
                f"got {','.join(line)[:80]!r}"
            ) from err
