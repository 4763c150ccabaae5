"""Noise that the server adds to an opened sum: it hides a device from who sees the models, not from the server."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from splitnet.learn.privacy.discrete_gaussian import discrete_gaussian
from splitnet.learn.privacy.randomness import RandomWords

#: Steps that the clip is divided into. The noise is discrete, since floating-point noise gives values away by
#: their last bits (Mironov 2012, "On Significance of the Least Significant Bits for Differential Privacy").
STEPS = 2**24


def private_sum(
    total: NDArray[np.float64], *, clip: float, noise_multiplier: float, random: RandomWords | None = None
) -> NDArray[np.float64]:
    """Return the sum, rounded to steps of clip / 2^24, with discrete Gaussian noise, float64 `[d]`.

    Args:
        total: sum of updates, each with weight 1, `[d]`.
        clip: largest norm of an update.
        noise_multiplier: deviation of the noise over the clip.
        random: where the bits come from; None, the rule, is the system.
    """
    step = clip / STEPS
    variance = (Fraction(noise_multiplier) * STEPS) ** 2
    noise = discrete_gaussian(variance, len(total), random or RandomWords())
    steps: NDArray[np.float64] = np.rint(total / step)
    return (steps + noise) * step
