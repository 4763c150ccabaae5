"""From a device's contribution to words, and from the opened sum back to numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from splitnet.learn.secure.encoding import CLIP_SLACK, NOISE_SIGMAS, Encoding
from splitnet.learn.secure.reasons import Reason, refusal
from splitnet.learn.secure.ring import Ring

# Float64 copies of this many elements stay in a second-level cache.
_CHUNK = 2**15

_NONSENSE = "a device sent what no device may"


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one device adds to the sum.

    Attributes:
        delta: the update, float32 [d], scaled down to the clip by the caller.
        weight: number of samples behind it.
        metrics: a value for each metric of the encoding; summed as weight * value.
        noise: whole numbers to add to the words of the update, int64 [d], for differential privacy; the caller
            answers for their distribution.
    """

    delta: NDArray[np.float32]
    weight: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    noise: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """The sum over the survivors.

    Attributes:
        total: sum of weight * delta, float64 [d].
        weight: sum of weights.
        metrics: sum of weight * value by name.
        devices: whose sum it is.
    """

    total: NDArray[np.float64]
    weight: int
    metrics: dict[str, float]
    devices: tuple[str, ...]

    @property
    def mean(self) -> NDArray[np.float64]:
        """The weighted mean update, float64 [d]."""
        return self.total / self.weight

    @property
    def mean_metrics(self) -> dict[str, float]:
        """The weighted mean of each metric."""
        return {name: value / self.weight for name, value in self.metrics.items()}


def encode(encoding: Encoding, given: Contribution) -> Ring:
    """Return a device's vector, uint32 or uint64 [size], every value rounded to the nearest word.

    Raises:
        RefusalError: the update has another length (bad-length), NaN or infinity (not-finite), or a norm or weight
            beyond what was planned for (too-large); a metric is missing, unknown or out of its range
            (out-of-range).
    """
    _check(encoding, given)
    ring = np.empty(encoding.size, encoding.dtype)
    factor = encoding.scale * given.weight
    for first in range(0, encoding.parameters, _CHUNK):
        part = slice(first, min(first + _CHUNK, encoding.parameters))
        values = given.delta[part].astype(np.float64)
        values *= factor
        words = np.rint(values, out=values).astype(np.int64)
        if given.noise is not None:
            words += given.noise[part]
        ring[part] = words.astype(encoding.dtype)
    ring[encoding.parameters :] = np.array(_tail(encoding, given), dtype=np.int64).astype(encoding.dtype)
    return ring


def decode(encoding: Encoding, ring: Ring, devices: tuple[str, ...]) -> Opened:
    """Return the sum that the unmasked vector of `devices` holds.

    Args:
        encoding: how each of them encoded.
        ring: the sum of their vectors, uint32 or uint64 [size].
        devices: whose sum it is.

    Raises:
        RefusalError: the sum of weights is none that so many devices can have, or those of metrics or updates are
            none that such weights can have: some device did not follow the protocol (out-of-range).
    """
    words = ring.view(encoding.dtype.str.replace("u", "i"))
    weight = int(words[encoding.parameters])
    most = len(devices) * encoding.most_weight
    if not 1 <= weight <= most:
        raise refusal(Reason.OUT_OF_RANGE, f"the sum has weight {weight}, expected 1 to {most}: {_NONSENSE}")
    total = words[: encoding.parameters].astype(np.float64)
    total /= encoding.scale
    tail = words[encoding.parameters + 1 :].tolist()
    summed = zip(encoding.metrics, tail, encoding.metric_exponents, strict=True)
    sums = {each.name: word / 2.0**exponent for each, word, exponent in summed}
    opened = Opened(total, weight, sums, devices)
    _check_sum(encoding, opened)
    return opened


def _check(encoding: Encoding, given: Contribution) -> None:
    shape = (encoding.parameters,)
    if given.delta.shape != shape or given.delta.dtype != np.float32:
        raise refusal(
            Reason.BAD_LENGTH, f"update: {given.delta.dtype} {given.delta.shape}, expected float32 {shape}"
        )
    if given.noise is not None and (given.noise.shape != shape or given.noise.dtype != np.int64):
        raise refusal(Reason.BAD_LENGTH, f"noise: {given.noise.dtype} {given.noise.shape}, expected int64 {shape}")
    if not 1 <= given.weight <= encoding.most_weight:
        raise refusal(Reason.TOO_LARGE, f"weight: expected 1 to {encoding.most_weight}")
    norm = _norm(given.delta)
    if not math.isfinite(norm):
        raise refusal(Reason.NOT_FINITE, "update: NaN or infinity; this device takes no part in the round")
    if norm > encoding.clip * CLIP_SLACK:
        # The server gets to read this: it does not say what the norm is.
        raise refusal(Reason.TOO_LARGE, f"update: its norm is above the clip, {encoding.clip:.6g}")
    _check_metrics(encoding, given.metrics)


def _check_metrics(encoding: Encoding, values: Mapping[str, float]) -> None:
    names = {metric.name for metric in encoding.metrics}
    if names != set(values):
        raise refusal(Reason.OUT_OF_RANGE, f"metrics {sorted(values)}: expected {sorted(names)}")
    for metric in encoding.metrics:
        if not metric.low <= values[metric.name] <= metric.high:
            raise refusal(
                Reason.OUT_OF_RANGE,
                f"metric {metric.name!r}: expected {metric.low} to {metric.high}, which the budget is made for",
            )


def _check_sum(encoding: Encoding, opened: Opened) -> None:
    """Check a sum against what devices of its weight can add up to, rounding and noise included."""
    count, size = len(opened.devices), math.sqrt(encoding.parameters)
    for metric, exponent in zip(encoding.metrics, encoding.metric_exponents, strict=True):
        value, rounding = opened.metrics[metric.name], count / 2.0**exponent
        if not metric.low * opened.weight - rounding <= value <= metric.high * opened.weight + rounding:
            raise refusal(Reason.OUT_OF_RANGE, f"the sum of metric {metric.name!r} is out of range: {_NONSENSE}")
    # The norm of d Gaussians of deviation s is above s * (sqrt(d) + x) with probability exp(-x^2 / 2) at most.
    noise = encoding.noise_std * (size + NOISE_SIGMAS)
    most = encoding.clip * CLIP_SLACK * opened.weight + noise + size * count / encoding.scale
    if not _norm(opened.total) <= most:
        raise refusal(
            Reason.OUT_OF_RANGE, f"the sum of updates is longer than weight times clip, {most:.6g}: {_NONSENSE}"
        )


def _norm(delta: NDArray[np.float32] | NDArray[np.float64]) -> float:
    """Return the Euclidean norm in float64, NaN or infinity where an element is."""
    total = 0.0
    for first in range(0, len(delta), _CHUNK):
        values = delta[first : first + _CHUNK].astype(np.float64)
        # A BLAS dot product would start threads for so little, which wait for each other on a busy machine.
        total += float(np.square(values, out=values).sum())
    return math.sqrt(total)


def _tail(encoding: Encoding, given: Contribution) -> list[int]:
    """Return the words behind the update: weight, then metrics."""
    pairs = zip(encoding.metrics, encoding.metric_exponents, strict=True)
    return [given.weight, *(round(given.weight * given.metrics[each.name] * 2.0**e) for each, e in pairs)]
