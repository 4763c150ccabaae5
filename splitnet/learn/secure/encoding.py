"""Encoding: a device's weighted update, sample count and metrics as one vector of integers that cannot overflow.

Word j < d of a device's vector is round(scale * weight * delta[j]), word d its weight, the words behind it its
metrics; all modulo 2^bits, two's complement. The scale is the largest power of two for which the sum over all
devices, rounding and noise included, stays below 2^(bits - 1).
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from splitnet.errors import InvalidArgumentError
from splitnet.learn.secure.reasons import Reason, refusal
from splitnet.learn.secure.wire import number, text_field

MOST_DEVICES = 0xFFFF
#: Standard deviations of noise that the budget leaves room for: a Gaussian is beyond them with probability 2e-19,
#: so any of 10^7 of them with 2^-38.
NOISE_SIGMAS = 9.0

#: A norm that was scaled down to the clip in float32 may be a little above it.
CLIP_SLACK = 1 + 1e-4

#: Largest rounding error of weight * value of a metric, as a share of its range.
METRIC_ERROR = 1e-3

# Beyond this a float64 product has no bit below the unit.
_MOST_EXPONENT = 52
# Larger ones, infinity too, are refused as this is.
_MOST_BOUND = 1e300


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that each device reports, and the range that its values keep to."""

    name: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InvalidArgumentError(
                f"metric {self.name!r}: range {self.low} to {self.high}: expected low < high, both finite"
            )


@dataclass(frozen=True)
class Encoding:
    """How values become words; made by `plan`, the same on server and devices.

    Attributes:
        parameters: d, the length of the update.
        devices: the most that the sum has room for.
        clip: largest Euclidean norm of an update, so largest magnitude of one of its elements.
        most_weight: largest weight (number of samples) of a device.
        metrics: what is summed besides.
        noise_std: standard deviation of the noise of all devices together, for which a sum's check leaves room.
        bits: of a word.
        exponent: log2 of the scale: words per unit of weight * delta.
        metric_exponents: the same of each metric.
    """

    parameters: int
    devices: int
    clip: float
    most_weight: int
    metrics: tuple[Metric, ...]
    noise_std: float
    bits: Literal[32, 64]
    exponent: int
    metric_exponents: tuple[int, ...]

    @staticmethod
    def plan(
        *,
        parameters: int,
        devices: int,
        clip: float,
        most_weight: int,
        metrics: Sequence[Metric] = (),
        noise_std: float = 0.0,
        error: float = 1e-3,
    ) -> "Encoding":
        """Choose word and scale.

        Args:
            parameters: d, at least 1.
            devices: the most that may take part.
            clip: largest Euclidean norm of an update.
            most_weight: largest weight of a device.
            metrics: what is summed besides.
            noise_std: standard deviation of the noise of all devices together, in units of weight * delta.
            error: largest error of an element of weight * delta by rounding; where 32 bits leave more, 64 are
                taken. The error of the mean is at most this over the mean weight.

        Raises:
            RefusalError: the sum of so many devices with such weights, to within `error`, does not fit in 64 bits
                (overflow).
            InvalidArgumentError: a number is out of its range, or two metrics share a name.
        """
        _check_plan(parameters, devices, most_weight)
        if not (math.isfinite(clip) and clip > 0 and math.isfinite(noise_std) and noise_std >= 0 and error > 0):
            raise InvalidArgumentError(f"clip {clip}, noise_std {noise_std}, error {error}: expected above 0")
        if len({metric.name for metric in metrics}) != len(metrics):
            raise InvalidArgumentError("metrics: expected a name for each")
        heaviest = devices * most_weight
        ranges = [max(abs(each.low), abs(each.high)) for each in metrics]
        wanted = [(heaviest * clip * CLIP_SLACK + NOISE_SIGMAS * noise_std, error)]
        wanted += [(heaviest * largest, METRIC_ERROR * largest) for largest in ranges]
        words: tuple[Literal[32, 64], ...] = (32, 64)
        for bits in words:
            found = [_exponent(bound, devices, bits) for bound, _ in wanted]
            fine = all(0.5 / 2.0**e <= most for e, (_, most) in zip(found, wanted, strict=True))
            if fine and heaviest < 2 ** (bits - 1):
                planned = (parameters, devices, clip, most_weight, tuple(metrics), noise_std)
                return Encoding(*planned, bits, found[0], tuple(found[1:]))
        raise refusal(
            Reason.OVERFLOW,
            f"a sum of {devices} devices of weight up to {most_weight}, clip {clip}, noise {noise_std}, to within "
            f"{error}: more than 64 bits hold; lower the clip, the largest weight or the noise",
        )

    @property
    def size(self) -> int:
        """Words of a vector: the update, the weight, the metrics."""
        return self.parameters + 1 + len(self.metrics)

    @property
    def dtype(self) -> "np.dtype[Any]":
        """Of a vector: little-endian uint32 or uint64."""
        return np.dtype("<u4" if self.bits == 32 else "<u8")

    @property
    def scale(self) -> float:
        """Words per unit of weight * delta: noise is given in these."""
        return 2.0**self.exponent

    @cached_property
    def digest(self) -> bytes:
        """SHA-256, 32 bytes: every device signs it, so all use the same encoding."""
        floats = [self.clip, *(bound for each in self.metrics for bound in (each.low, each.high))]
        numbers = (self.parameters, self.devices, self.most_weight, self.bits, len(self.metrics))
        exponents = (self.exponent, *self.metric_exponents)
        text = b"".join(text_field(each.name) for each in self.metrics)
        packed = b"".join(number(each, 8) for each in numbers) + np.array(exponents, "<i4").tobytes()
        return hashlib.sha256(packed + np.array(floats, "<f8").tobytes() + text).digest()


def _check_plan(parameters: int, devices: int, most_weight: int) -> None:
    if parameters < 1 or not 2 <= devices <= MOST_DEVICES:
        raise InvalidArgumentError(
            f"a sum of {devices} updates of {parameters} parameters: expected 2 to {MOST_DEVICES} of 1 or more"
        )
    if most_weight < 1:
        raise InvalidArgumentError(f"most_weight {most_weight}: expected 1 or more")


def _exponent(bound: float, devices: int, bits: int) -> int:
    """Return the largest e with bound * 2^e + devices (each rounds by less than 1) below 2^(bits - 1)."""
    room = 2.0 ** (bits - 1) - 1 - devices
    bound = min(bound, _MOST_BOUND)
    exponent = min(math.floor(math.log2(room) - math.log2(bound)), _MOST_EXPONENT)
    return exponent - 1 if bound * 2.0**exponent > room else exponent
