"""What the server learns of a cohort in a round: sums over its devices, and nothing of one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import InvalidArgumentError


@dataclass(frozen=True, slots=True, eq=False)
class CohortSum:
    """A cohort's sums over the devices that survived.

    Attributes:
        cohort: its name.
        total: sum of weight * update, float64 `[d]`.
        weight: sum of the weights, above 0.
        devices: how many are in the sums.
        metrics: sums of weight * metric, by name.

    Raises:
        InvalidArgumentError: a number is not finite, or weight or devices are not above 0.
    """

    cohort: str
    total: NDArray[np.float64]
    weight: float
    devices: int
    metrics: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (np.isfinite(self.weight) and self.weight > 0 and self.devices > 0):
            raise InvalidArgumentError(
                f"cohort {self.cohort}: weight {self.weight} of {self.devices} devices: expected both above 0"
            )
        if self.total.ndim != 1 or not np.isfinite(self.total).all():
            raise InvalidArgumentError(f"cohort {self.cohort}: its sum is not one vector of finite numbers")

    @property
    def mean(self) -> NDArray[np.float64]:
        """The cohort's mean update, float64 `[d]`."""
        return self.total / self.weight


def mean_metrics(sums: Sequence[CohortSum]) -> dict[str, float]:
    """Return the weighted mean over all devices of every metric that each cohort has."""
    names = set.intersection(*(set(each.metrics) for each in sums)) if sums else set()
    weight = sum(each.weight for each in sums)
    return {name: sum(each.metrics[name] for each in sums) / weight for name in sorted(names)}
