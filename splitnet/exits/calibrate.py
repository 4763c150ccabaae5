"""Choosing an exit's threshold so that a stated risk holds with a stated probability.

The risk is P(final exit right, this exit wrong, sample leaves here): the accuracy that leaving early can
cost. It is bounded from above by Clopper and Pearson's exact interval (Biometrika 26, 1934), one-sided,
and thresholds are tried by fixed-sequence testing, as in "Learn then Test" (Angelopoulos, Bates, Candès,
Jordan and Lei, arXiv 2110.01052, 2021): the grid is set before any data are seen and the search stops at
its first failure, so many thresholds can be tried without spending delta more than once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import InvalidArgumentError

METHOD: Final = "clopper-pearson-fixed-sequence"

# Strictest first, even in log(1 - threshold): 24 steps a decade from 1 - 1e-6 down to 0, where all leave.
# 1 - 1e-6 is near the last steps that a float32 confidence can tell from 1 (6e-8). Each value is exact in
# float32, so a router that compares in either precision decides alike.
THRESHOLD_GRID: Final[tuple[float, ...]] = tuple(
    float(np.float32(1.0 - 10.0 ** (-6.0 + step / 24))) for step in range(6 * 24 + 1)
)


@dataclass(frozen=True, slots=True)
class ExitThreshold:
    """A threshold and the promise that it was chosen under.

    Attributes:
        threshold: a sample leaves if and only if its confidence is at least this.
        epsilon: the bound asked for on P(final right, exit wrong, sample leaves).
        delta: the probability with which the promise may fail, over draws of the calibration samples.
        n: calibration samples.
        bound: the upper confidence bound on the risk at `threshold`; at most `epsilon`.
        share: share of the calibration samples that leave at `threshold`.
        method: how the threshold was chosen.
    """

    threshold: float
    epsilon: float
    delta: float
    n: int
    bound: float
    share: float
    method: str

    def promise(self) -> dict[str, float | int | str]:
        """Return all but the threshold, as a package's manifest has it."""
        fields = asdict(self)
        del fields["threshold"]
        return fields


def choose_threshold(
    confidence: NDArray[np.float32],
    correct: NDArray[np.bool_],
    final_correct: NDArray[np.bool_],
    *,
    epsilon: float,
    delta: float = 0.05,
) -> ExitThreshold | None:
    """Choose the lowest threshold whose risk is shown to be at most `epsilon`.

    The promise is about samples drawn like the calibration samples, which must not have trained the
    model. Every sample counts, also one that an earlier exit would answer: the risks of several exits
    then add up whatever their thresholds, and so do their deltas.

    Args:
        confidence: float32 [n], the exit's confidence; a NaN never leaves.
        correct: bool [n], whether the exit's answer is right.
        final_correct: bool [n], whether the last exit's answer is right.
        epsilon: the risk allowed, in (0, 1).
        delta: the probability with which the risk may exceed `epsilon` all the same, in (0, 1).

    Returns:
        The threshold, or None when not even the strictest one of the grid passes: too few samples or
        too many confident errors.

    Raises:
        InvalidArgumentError: arrays of other lengths or types, no samples, epsilon or delta outside (0, 1).
    """
    _check(confidence, correct, final_correct)
    _check_probability("epsilon", epsilon)
    _check_probability("delta", delta)
    n = len(confidence)
    # NaN sorts last in numpy and would count as surest of all.
    leaving = np.sort(confidence[~np.isnan(confidence)])
    costly = np.sort(confidence[final_correct & ~correct & ~np.isnan(confidence)])
    chosen = None
    for threshold in THRESHOLD_GRID:
        bound = upper_bound(_at_least(costly, threshold), n, delta=delta)
        if bound > epsilon:
            break
        share = _at_least(leaving, threshold) / n
        chosen = ExitThreshold(threshold, epsilon, delta, n, bound, share, METHOD)
    return chosen


def upper_bound(errors: int, n: int, *, delta: float) -> float:
    """The one-sided Clopper-Pearson upper bound on a probability, with confidence 1 - delta.

    Args:
        errors: how often the event was seen, 0 to `n`.
        n: samples, at least 1.
        delta: the probability that the bound is too low, in (0, 1).

    Raises:
        InvalidArgumentError: a count or a probability out of range.
    """
    if n < 1 or not 0 <= errors <= n:
        raise InvalidArgumentError(f"expected 0 <= errors <= n and n >= 1, got {errors} of {n}")
    _check_probability("delta", delta)
    if errors == n:
        return 1.0
    # Here, not above: scipy is in the `partition` extra, and a device imports neighbours of this module.
    from scipy.special import betaincinv  # noqa: PLC0415

    return float(betaincinv(errors + 1, n - errors, 1.0 - delta))


def _at_least(ascending: NDArray[np.float32], threshold: float) -> int:
    return len(ascending) - int(np.searchsorted(ascending, np.float32(threshold), side="left"))


def _check(confidence: NDArray[np.float32], correct: NDArray[np.bool_], final_correct: NDArray[np.bool_]) -> None:
    if confidence.ndim != 1 or not np.issubdtype(confidence.dtype, np.floating):
        raise InvalidArgumentError(
            f"confidence: expected floats [n], got {confidence.dtype} {list(confidence.shape)}"
        )
    for name, array in (("correct", correct), ("final_correct", final_correct)):
        if array.dtype != np.bool_ or array.shape != confidence.shape:
            raise InvalidArgumentError(
                f"{name}: expected bool {list(confidence.shape)} like confidence, "
                f"got {array.dtype} {list(array.shape)}"
            )
    if len(confidence) == 0:
        raise InvalidArgumentError("no calibration samples: pass at least one")


def _check_probability(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise InvalidArgumentError(f"{name}: expected a number between 0 and 1, both excluded, got {value}")
