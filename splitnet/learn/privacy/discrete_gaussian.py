"""Exact samples of the discrete Gaussian, many at a time.

The algorithms are those of Canonne, Kamath and Steinke 2020, "The Discrete Gaussian for Differential Privacy"
(algorithm 2 for the discrete Laplace, algorithm 3 for the Gaussian), on arrays: what is rejected is drawn again.
Samples beyond 31 deviations are rejected too, since they need not fit in 64 bits; that is all that keeps this from
being exact, and they have probability 2^-690.
"""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import InvalidArgumentError
from splitnet.learn.privacy.bernoulli import exp_coins
from splitnet.learn.privacy.randomness import RandomWords

#: Largest variance: of deviation 2^58, for which 31 deviations fit in int64.
MOST_VARIANCE = 2**116

# Candidates that are drawn at once: 0.5 MB an array, which stays in a core's cache.
_AT_ONCE = 1 << 16
# Multiples of the scale, at least a deviation, within which samples are kept.
_MOST_WIDTHS = 31
# 2.08 candidates make a sample of a wide Gaussian, on average; a little more saves a second pass.
_CANDIDATES = 2.2


def discrete_gaussian(variance: Fraction, size: int, random: RandomWords) -> NDArray[np.int64]:
    """Return independent samples, int64 `[size]`: k with a probability proportional to exp(-k^2 / (2 variance)).

    Args:
        variance: exact, above 0 and at most `MOST_VARIANCE`; that of the samples is at most this, and within
            one part in 10^6 of it from 1 on.
        size: how many.
        random: where the bits come from.

    Raises:
        InvalidArgumentError: the variance is out of range.
    """
    if not 0 < variance <= MOST_VARIANCE:
        raise InvalidArgumentError(f"noise: variance {float(variance):g}: expected above 0 and at most 2^116")
    samples = np.empty(size, np.int64)
    filled = 0
    while filled < size:
        count = min(_AT_ONCE, int((size - filled) * _CANDIDATES) + 16)
        accepted = _accepted(variance, count, random)[: size - filled]
        samples[filled : filled + len(accepted)] = accepted
        filled += len(accepted)
    return samples


def _accepted(variance: Fraction, count: int, random: RandomWords) -> NDArray[np.int64]:
    """Draw `count` times from the discrete Laplace of scale `width`, and keep what the Gaussian accepts."""
    width = math.isqrt(math.floor(variance)) + 1
    laplace = _discrete_laplace(width, count, random)
    centre = variance / width
    distance = (np.abs(laplace) - float(centre)) / math.sqrt(variance)

    def exact(index: int) -> Fraction:
        return (abs(int(laplace[index])) - centre) ** 2 / (2 * variance)

    return laplace[exp_coins(distance**2 / 2, exact, random)]


def _discrete_laplace(width: int, count: int, random: RandomWords) -> NDArray[np.int64]:
    """Return at most `count` samples: k with a probability proportional to exp(-|k| / width)."""
    rest = random.below(width, count)
    rest = rest[exp_coins(rest / width, lambda index: Fraction(int(rest[index]), width), random)]
    falls = _geometric(len(rest), random)
    fits = falls < _MOST_WIDTHS
    size = rest[fits] + width * falls[fits]
    negative = (random.draw(len(size)) & np.uint64(1)).astype(np.bool_)
    twice = negative & (size == 0)  # 0 would come with either sign
    samples: NDArray[np.int64] = np.where(negative, -size, size)[~twice]
    return samples


def _geometric(count: int, random: RandomWords) -> NDArray[np.int64]:
    """Return how often a coin of exp(-1) falls in a row, int64 `[count]`."""
    falls = np.zeros(count, np.int64)
    active = np.arange(count)
    while len(active):
        active = active[exp_coins(np.ones(len(active)), lambda _: Fraction(1), random)]
        falls[active] += 1
    return falls
