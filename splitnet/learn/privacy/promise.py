"""What a round's noise promises of one device's whole contribution, as concentrated differential privacy.

Two rounds are neighbours if they differ in what one device puts in: its update, or zeros. A sum that promises rho
(zero-concentrated differential privacy, Bun and Steinke 2016) has Renyi divergence at most rho * alpha between
neighbours, for every order alpha; the rhos of rounds add up.
"""

import math
from typing import Annotated, Literal

from pydantic import Field

from splitnet.config import Frozen
from splitnet.learn.privacy.central import STEPS
from splitnet.learn.privacy.noise import NoiseShare

_Positive = Annotated[float, Field(gt=0)]


class RoundPromise(Frozen):
    """What one cohort's sum promises in one round.

    Attributes:
        mechanism: how the noise came in.
        size: coordinates of the sum.
        sensitivity: most that one device can change the encoded sum, Euclidean, in steps.
        deviation: of the whole noise in a coordinate, in steps.
        rho: of zero-concentrated differential privacy.
    """

    mechanism: Literal["distributed", "central"]
    size: Annotated[int, Field(ge=1)]
    sensitivity: _Positive
    deviation: _Positive
    rho: _Positive


def distributed_promise(noise: NoiseShare, *, clip: float, scale: float, size: int) -> RoundPromise:
    """Return what a sum of shares promises when it is opened with at least `noise.survivors` of them.

    Kairouz, Liu and Steinke 2021, "The Distributed Discrete Gaussian Mechanism for Federated Learning with Secure
    Aggregation", proposition 14: rho = (sensitivity / deviation + tau * sqrt(size))^2 / 2, where tau, which says
    how far a sum of n discrete Gaussians of deviation s is from one, is 10 * sum(exp(-2 pi^2 s^2 k / (k + 1)),
    k = 1 .. n - 1). Rounding to the nearest step moves each coordinate by 1/2 at most, so the sensitivity is
    clip * scale + sqrt(size) / 2.

    Args:
        noise: each device's share.
        clip: largest norm of an update, which counts with weight 1.
        scale: steps of the fixed-point encoding to 1.
        size: coordinates.
    """
    sensitivity = clip * scale + math.sqrt(size) / 2
    deviation = math.sqrt(noise.survivors * noise.variance)
    rate = 2 * math.pi**2 * float(noise.variance)
    tau = 10 * math.fsum(math.exp(-rate * k / (k + 1)) for k in range(1, noise.survivors))
    rho = (sensitivity / deviation + tau * math.sqrt(size)) ** 2 / 2
    return RoundPromise(mechanism="distributed", size=size, sensitivity=sensitivity, deviation=deviation, rho=rho)


def central_promise(noise_multiplier: float, *, size: int, encoded: float | None = None) -> RoundPromise:
    """Return what `private_sum` promises; it is whoever adds the noise who is trusted.

    Canonne, Kamath and Steinke 2020, "The Discrete Gaussian for Differential Privacy": rho =
    (sensitivity / deviation)^2 / 2. The sum is rounded, so in each coordinate rounding takes two neighbours apart
    by 1 step at most, and what float64 loses in a sum of less than 2^50 steps by less than another: the
    sensitivity is the clip's steps + 2 sqrt(size). A secure sum's encoding has rounded the update before, by 1/2
    of its own, wider steps at most.

    Args:
        noise_multiplier: deviation of the noise over the clip.
        size: coordinates.
        encoded: steps of the secure sum's encoding to the clip; None for a plain sum.
    """
    rounded = 0.0 if encoded is None else math.sqrt(size) / 2 / encoded
    sensitivity = STEPS * (1 + rounded) + 2 * math.sqrt(size)
    deviation = noise_multiplier * STEPS
    return RoundPromise(
        mechanism="central",
        size=size,
        sensitivity=sensitivity,
        deviation=deviation,
        rho=(sensitivity / deviation) ** 2 / 2,
    )
