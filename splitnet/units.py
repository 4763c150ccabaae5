"""Quantities as people write them: bit rates, sizes and durations."""

import math
import re

from splitnet.errors import InvalidArgumentError

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(us|µs|ms|s)?", re.ASCII)
_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
_RATE = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([kKMG]?)\s*", re.ASCII)
_FACTORS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([kKMG]?)(i?)\s*", re.ASCII)


def parse_rate(rate: str | float) -> float:
    """Return a rate in bits a second.

    Args:
        rate: bits a second as a number, or as text with an optional suffix: k (1,000; also K), M (1,000,000) or
            G (1,000,000,000), such as "20M" or "1.5 G".

    Raises:
        InvalidArgumentError: it is none of these, not finite, or not above zero.
    """
    if isinstance(rate, str):
        match = _RATE.fullmatch(rate)
        bps = float(match[1]) * _FACTORS[match[2]] if match else math.nan
    else:
        bps = math.nan if isinstance(rate, bool) else float(rate)
    if not (math.isfinite(bps) and bps > 0):
        raise InvalidArgumentError(
            f"rate {rate!r}: expected bits a second above zero: a number with or without k, M or G, such as '20M'"
        )
    return bps


def parse_size(size: str | int) -> int:
    """Return a size in bytes.

    Args:
        size: whole bytes as a number, or as text with an optional suffix: k, M or G for powers of 1000 (as in
            `parse_rate`), Ki, Mi or Gi for powers of 1024, such as "512M" or "1.5 Gi".

    Raises:
        InvalidArgumentError: it is none of these, not finite, or less than a byte.
    """
    nbytes = 0.0
    if isinstance(size, int) and not isinstance(size, bool):
        nbytes = float(size)
    elif isinstance(size, str) and (match := _SIZE.fullmatch(size)) and (match[2] or not match[3]):
        factor = 1024 ** "kMG".index(match[2].replace("K", "k")) * 1024 if match[3] else _FACTORS[match[2]]
        nbytes = float(match[1]) * factor
    if not (math.isfinite(nbytes) and nbytes >= 1):
        raise InvalidArgumentError(
            f"size {size!r}: expected bytes above zero: a whole number with or without k, M, G, Ki, Mi or Gi, "
            "such as '512M'"
        )
    return size if isinstance(size, int) else round(nbytes)


def parse_duration_s(text: str) -> float:
    """Return a duration such as "5ms", "1.5s" or "200us" in seconds; only 0 may go without a unit.

    Raises:
        InvalidArgumentError: the text is no duration.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise InvalidArgumentError(f"{text!r} is not a duration; write it like 5ms, 1.5s or 200us")
    number, unit = float(match[1]), match[2]
    if unit is None and number != 0:
        raise InvalidArgumentError(f"the duration {text!r} has no unit; write it like 5ms, 1.5s or 200us")
    return number * _SECONDS[unit or "s"]
