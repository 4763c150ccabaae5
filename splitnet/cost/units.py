"""Bit rates as people write them."""

import math
import re

from splitnet.errors import InvalidArgumentError

_RATE = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([kKMG]?)\s*", re.ASCII)
_FACTORS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}


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
