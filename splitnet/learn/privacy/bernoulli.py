"""Coins that fall with probability exp(-x), exactly, for rational x, many at a time.

A coin compares a uniform number with exp(-x). 52 bits of both settle all but about one coin in 2^39; the others
are settled with more bits and decimal intervals. So no coin is biased, however little.
"""

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from splitnet.learn.privacy.randomness import RandomWords

# exp(-x) as float64 is off by 2^-42 for the x (see `exp_coins`) and 2^-50 for `exp`, relatively; the uniform
# number by 2^-53 for its rounding and 2^-64 for the bits that are not drawn yet.
_MARGIN = 2.0**-40
_ROUNDING = 2.0**-52

# Digits that decide 64 bits, and their rounding.
_DIGITS_OF_64_BITS = 20


def exp_coins(
    x: NDArray[np.float64],
    exact: Callable[[int], Fraction],
    random: RandomWords,
    *,
    margin: float = _MARGIN,
) -> NDArray[np.bool_]:
    """Return coins that fall with probability exp(-x) each, `[n]`.

    Args:
        x: from 0 on, `[n]`; each within 2^-42 of its exact value, or both beyond 36 (exp(-36) is below 2^-51).
        exact: gives the exact value for an index.
        random: where the bits come from.
        margin: relative distance from exp(-x) within which a coin is settled exactly.
    """
    words = random.draw(len(x))
    uniform = words.astype(np.float64) * 2.0**-64
    falls = np.exp(-x)
    unsure = np.abs(uniform - falls) <= margin * falls + _ROUNDING
    coins: NDArray[np.bool_] = uniform < falls
    for index in np.flatnonzero(unsure).tolist():
        coins[index] = _exact_coin(int(words[index]), exact(index), random)
    return coins


def _exact_coin(word: int, x: Fraction, random: RandomWords) -> bool:
    """Say whether a uniform number whose first 64 bits are `word` is below exp(-x)."""
    bits = 64
    digits = 2 * _DIGITS_OF_64_BITS
    while True:
        low, high = _exp_bounds(x, digits)
        if Fraction(word + 1, 1 << bits) <= low:
            return True
        if Fraction(word, 1 << bits) >= high:
            return False
        word = word << 64 | int(random.draw(1)[0])
        bits += 64
        digits += _DIGITS_OF_64_BITS


def _exp_bounds(x: Fraction, digits: int) -> tuple[Fraction, Fraction]:
    """Return numbers below and above exp(-x); `Decimal.exp` rounds correctly, to the nearest."""
    bounds = []
    for rounding, sign in ((ROUND_CEILING, -1), (ROUND_FLOOR, 1)):
        context = Context(prec=digits, rounding=rounding)
        power = context.divide(Decimal(x.numerator), Decimal(x.denominator))
        near = Fraction(context.exp(context.minus(power)))
        bounds.append(near * (1 + Fraction(sign, 10 ** (digits - 1))))
    return bounds[0], bounds[1]
