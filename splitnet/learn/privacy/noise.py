"""A device's share of a round's noise, in the whole numbers of the secure sum."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import InvalidArgumentError
from splitnet.learn.privacy.discrete_gaussian import MOST_VARIANCE, discrete_gaussian
from splitnet.learn.privacy.randomness import RandomWords

# Below the least, the sum of discrete Gaussians is not known to be close to one (Kairouz, Liu and Steinke 2021).
_LEAST_VARIANCE = Fraction(1, 4)


@dataclass(frozen=True, slots=True)
class NoiseShare:
    """The noise that one device adds.

    Attributes:
        variance: exact, in squared steps of the fixed-point scale.
        survivors: devices whose shares make up the whole noise that was asked for.
    """

    variance: Fraction
    survivors: int

    def sample(self, size: int, random: RandomWords | None = None) -> NDArray[np.int64]:
        """Return the device's noise, int64 `[size]`, to be added to its encoded update before masking.

        Args:
            size: parameters.
            random: where the bits come from; None, the rule, is the system.
        """
        return discrete_gaussian(self.variance, size, random or RandomWords())


def noise_share(noise_multiplier: float, *, clip: float, scale: float, survivors: int) -> NoiseShare:
    """Return each device's share: variance (noise_multiplier * clip * scale)^2 / survivors.

    Dropouts cannot weaken the promise, because `survivors` is the fewest that a sum is ever opened with; with
    more, the variance is larger than promised by their number over it.

    Args:
        noise_multiplier: deviation of the whole noise over the clip.
        clip: largest norm of an update, which counts with weight 1.
        scale: steps of the fixed-point encoding to 1.
        survivors: the threshold of the secure sum, or what an honest majority of it leaves where devices may lie.

    Raises:
        InvalidArgumentError: a number is not above 0, or the share is too small to be analysed or too large to be
            drawn.
    """
    if survivors < 1 or not all(math.isfinite(value) and value > 0 for value in (noise_multiplier, clip, scale)):
        raise InvalidArgumentError("noise: multiplier, clip, scale and survivors must be above 0")
    variance = (Fraction(noise_multiplier) * Fraction(clip) * Fraction(scale)) ** 2 / survivors
    if variance > MOST_VARIANCE:
        raise InvalidArgumentError(
            f"noise: a device's share has deviation {math.sqrt(variance):.3g} steps, 2^58 is the most: lower the "
            "clip or privacy.noise_multiplier"
        )
    if variance < _LEAST_VARIANCE:
        raise InvalidArgumentError(
            f"noise: a device's share has deviation {math.sqrt(variance):.3g} steps, 0.5 is the least: encode "
            "with more bits or raise privacy.noise_multiplier"
        )
    return NoiseShare(variance, survivors)


def summed_deviation(noise_multiplier: float, *, clip: float, survivors: int, devices: int) -> float:
    """Return the deviation of all noise together if all `devices` survive, in units of an update.

    The sum's encoding needs room for it (`Encoding.plan`); noise that goes beyond wraps around, which spoils the
    sum but not the promise.
    """
    return noise_multiplier * clip * math.sqrt(devices / survivors)
