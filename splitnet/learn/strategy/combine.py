"""Several cohorts' mean updates become one; the median and the trimmed mean bound what one cohort can do."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import InvalidArgumentError
from splitnet.learn.strategy.cohort_sum import CohortSum

#: How means become one: weighted over all devices, or coordinate by coordinate over cohorts of equal say.
Combine = Literal["mean", "median", "trimmed"]


def least_cohorts(how: Combine, trimmed: float) -> int:
    """Return how many cohorts `how` needs to mean anything: 3 for the median, 3 and 1 / trimmed for the other.

    Raises:
        InvalidArgumentError: `trimmed` leaves nothing out, whatever the number.
    """
    if how == "mean":
        return 1
    if how == "median":
        return 3
    if trimmed <= 0:
        raise InvalidArgumentError("combine: trimmed by 0 leaves nothing out: raise `trimmed`, or combine by mean")
    return max(3, math.ceil(1 / trimmed - 1e-9))


def combine(sums: Sequence[CohortSum], how: Combine, *, trimmed: float = 0.2) -> NDArray[np.float64]:
    """Return the update of all cohorts, float64 `[d]`.

    "median" and "trimmed" are those of Yin et al. 2018, "Byzantine-Robust Distributed Learning: Towards Optimal
    Statistical Rates", over cohorts: each coordinate lies between values that honest cohorts sent as long as fewer
    than half of the cohorts, or at most floor(trimmed * cohorts), are bad.

    Args:
        sums: one for each cohort whose sum was opened.
        how: "mean" weighs cohorts by their weight.
        trimmed: share of the cohorts left out at each end of each coordinate.

    Raises:
        InvalidArgumentError: there are too few cohorts for `how`, or their vectors differ in length.
    """
    needed = least_cohorts(how, trimmed)
    if len(sums) < needed:
        raise InvalidArgumentError(
            f"combine: {how} needs the sums of {needed} cohorts or more, not {len(sums)}: enrol devices at more "
            "sites, or combine by mean"
        )
    if len({len(each.total) for each in sums}) > 1:
        raise InvalidArgumentError("combine: the cohorts' sums differ in length: they are not of one model")
    if how == "mean":
        weight = sum(each.weight for each in sums)
        mean: NDArray[np.float64] = np.stack([each.total for each in sums]).sum(axis=0) / weight
        return mean
    ordered = np.sort([each.mean for each in sums], axis=0)
    # The median is what remains when all but the one or two in the middle are left out.
    left_out = (len(sums) - 1) // 2 if how == "median" else math.floor(trimmed * len(sums) + 1e-9)
    kept: NDArray[np.float64] = ordered[left_out : len(sums) - left_out].mean(axis=0)
    return kept
