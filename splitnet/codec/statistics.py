"""What is known of a boundary tensor's values from calibration data: ranges, per channel too, and integrality."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splitnet.tensors import Array, TensorSpec

# A tensor of fractions shows it in its first values; only one that does not is looked at whole.
_GLANCE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class ValueStatistics:
    """What a tensor's values were on calibration data. Compared by identity.

    Attributes:
        low: the smallest finite value; infinity where none was finite.
        high: the largest finite value; minus infinity where none was finite.
        channel_low: `low` of each channel, float64 `[channels]`; None where the tensor has no `channel_axis`.
        channel_high: `high` of each channel, likewise.
        integral: whether every value was a finite integer, and none a negative zero.
        samples: how many samples were seen.
    """

    low: float
    high: float
    channel_low: NDArray[np.float64] | None
    channel_high: NDArray[np.float64] | None
    integral: bool
    samples: int

    def merge(self, other: "ValueStatistics") -> "ValueStatistics":
        """Return the statistics of both sets of samples, of one tensor, together."""
        return ValueStatistics(
            min(self.low, other.low),
            max(self.high, other.high),
            _merged(np.minimum, self.channel_low, other.channel_low),
            _merged(np.maximum, self.channel_high, other.channel_high),
            self.integral and other.integral,
            self.samples + other.samples,
        )

    @property
    def is_empty(self) -> bool:
        """Whether no value was finite, so that there is no range."""
        return self.low > self.high


def channel_axis(tensor: TensorSpec) -> int | None:
    """Return the axis whose entries get scales of their own, or None.

    Axis 1 with four axes and more (`[batch, channels, height, width]`), the last one otherwise
    (`[batch, sequence, hidden]`, `[batch, features]`): the large values of transformers keep to few entries of the
    hidden axis (Dettmers et al., "LLM.int8()", 2022). The batch axis never is.
    """
    axes = len(tensor.shape)
    axis = 1 if axes >= 4 else axes - 1
    return axis if axis >= 0 and axis != tensor.batch_axis else None


def statistics_of(spec: TensorSpec, array: Array) -> ValueStatistics:
    """Return the statistics of one batch of the tensor `spec`.

    Raises:
        InvalidArgumentError: the array does not fit `spec`.
    """
    samples = spec.check(array)
    if not array.size:
        return ValueStatistics(np.inf, -np.inf, None, None, integral=True, samples=samples)
    integral = _is_integral(array)
    lows = highs = array
    if not integral and not np.isfinite(array).all():
        lows, highs = (np.where(np.isfinite(array), array, fill) for fill in (np.inf, -np.inf))
    axis = channel_axis(spec)
    if axis is None:
        return ValueStatistics(float(lows.min()), float(highs.max()), None, None, integral, samples)
    others = tuple(other for other in range(array.ndim) if other != axis)
    channel_low = lows.min(axis=others).astype(np.float64)
    channel_high = highs.max(axis=others).astype(np.float64)
    return ValueStatistics(
        float(channel_low.min()), float(channel_high.max()), channel_low, channel_high, integral, samples
    )


def _is_integral(array: Array) -> bool:
    """Whether all values are finite integers; -0.0, which no integer type holds, is none."""
    if array.dtype.kind in "biu":
        return True
    return all(
        bool(np.isfinite(part).all() and (np.rint(part) == part).all() and not np.signbit(part[part == 0]).any())
        for part in (array.reshape(-1)[:_GLANCE], array)
    )


def _merged(
    extreme: np.ufunc, one: NDArray[np.float64] | None, other: NDArray[np.float64] | None
) -> NDArray[np.float64] | None:
    if one is None or other is None:
        return other if one is None else one
    merged: NDArray[np.float64] = extreme(one, other)
    return merged
