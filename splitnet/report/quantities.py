"""Numbers as people read them: three significant digits, thousands grouped, units on the same line."""

import math

#: Longest name shown; the whole of it stands in the hover text, which is longer but bounded too.
NAME_LENGTH = 48
HOVER_LENGTH = 160
#: U+00A0, no-break space.
_SPACE = "\u00a0"


def number(value: float) -> str:
    """Return `value` with three significant digits, or all of them before the point: 0.0123, 12.3, 1,234."""
    if not math.isfinite(value):
        return "unknown"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    rounded = f"{value:.3g}"
    return rounded if "e" not in rounded else f"{value:.6f}".rstrip("0").rstrip(".")


def ratio(value: float) -> str:
    """Return how many times: two significant digits."""
    return f"{value:.2g}" if value < 100 else f"{value:,.0f}"


def with_unit(value: float, unit: str) -> str:
    """Return a number and its unit, which no line break parts."""
    return f"{number(value)}{_SPACE}{unit}"


def time(value_ms: float) -> str:
    """Return a time in ms, from ten seconds on in seconds."""
    return with_unit(value_ms / 1000, "s") if value_ms >= 10_000 else with_unit(value_ms, "ms")


def size(value_bytes: float) -> str:
    """Return a size in bytes, kB, MB or GB, powers of 1000."""
    return _scaled(value_bytes, ("B", "kB", "MB", "GB"))


def rate(value_bps: float) -> str:
    """Return a rate in bit/s, kbit/s, Mbit/s or Gbit/s."""
    return _scaled(value_bps, ("bit/s", "kbit/s", "Mbit/s", "Gbit/s"))


def energy(value_mj: float) -> str:
    """Return an energy in millijoules."""
    return with_unit(value_mj, "mJ")


def share(value: float) -> str:
    """Return a share of 1 in per cent, one decimal below ten per cent and above ninety."""
    percent = 100 * value
    digits = 1 if percent < 10 or percent > 90 else 0
    return f"{percent:.{digits}f}".removesuffix(".0") + f"{_SPACE}%"


def short(name: str, length: int = NAME_LENGTH) -> str:
    """Return a name on one line, its middle left out beyond `length` characters: the ends tell names apart."""
    line = "".join(c if c.isprintable() else " " for c in name[: 100 * length])
    line = " ".join(line.split())
    if len(line) <= length:
        return line
    head = (length - 1) // 2
    return f"{line[:head]}…{line[head + 1 - length :]}"


def _scaled(value: float, units: tuple[str, ...]) -> str:
    step = 0
    while step < len(units) - 1 and abs(value) >= 999.5:
        value /= 1000
        step += 1
    return with_unit(value, units[step])
