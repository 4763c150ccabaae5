"""Ways to send several tensors at once of which none is worse than another in everything.

A stage's time counts what is encoded on its tier, what crosses its link and what is decoded on the tier above in
three different stages. Which is the slowest depends on the rest, so for throughput all combinations have to be
kept that no other beats in encoding, bytes and decoding alike.
"""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from splitnet.plan.arrays import Arrays, Floats, Indices

#: More combinations than that are thinned out to those that differ by more than `_GRAIN`, see docs/plan.md.
MOST_POINTS = 1000
_GRAIN = 1e-3


@dataclass(frozen=True, slots=True)
class Front:
    """Combinations of ways.

    Attributes:
        points: `[f, 3]`: cost of encoding, bytes, cost of decoding.
        ways: `[f, k]`: the way of each of the k tensors.
    """

    points: Floats
    ways: Indices


class Fronts:
    """The fronts of sets of tensors for one kind of sending; sets that begin alike share the work."""

    def __init__(self, arrays: Arrays, costs: Floats) -> None:
        """Prepare.

        Args:
            arrays: the table.
            costs: `[w, 3]`: cost of encoding, bytes and cost of decoding of every way.
        """
        self._way_tensor, self._costs = arrays.way_tensor, costs
        self._known: dict[tuple[int, ...], Front] = {(): Front(np.zeros((1, 3)), np.zeros((1, 0), np.intp))}

    def of(self, tensors: tuple[int, ...]) -> Front:
        """Return the combinations of ways to send `tensors`; none where one of them cannot be sent."""
        if tensors not in self._known:
            self._known[tensors] = self._joined(self.of(tensors[:-1]), tensors[-1])
        return self._known[tensors]

    def _joined(self, front: Front, tensor: int) -> Front:
        start, end = np.searchsorted(self._way_tensor, (tensor, tensor + 1))
        own = start + _best(self._costs[start:end])
        sums = (front.points[:, None] + self._costs[own]).reshape(-1, 3)
        kept = _best(_thinned(sums))
        before, way = np.divmod(kept, max(1, len(own)))
        return Front(sums[kept], np.column_stack((front.ways[before], own[way])))


def _thinned(points: Floats) -> Floats:
    """Round many points up to a grid, on which near ones fall together; few are left as they are."""
    if len(points) <= MOST_POINTS:
        return points
    grain = points.max(axis=0) * _GRAIN
    grain[grain == 0] = 1.0
    rounded: Floats = np.ceil(points / grain)
    return rounded


def _best(points: Floats) -> Indices:
    """Return the indices of the points, `[f, 3]`, that no other beats or equals in everything; of equals one.

    In order of the first column a point is beaten by an earlier one that is at most equal in the others. Those
    that matter make a staircase: the third column falls as the second rises (Kung, Luccio and Preparata, "On
    finding the maxima of a set of vectors", Journal of the ACM 22, 1975).
    """
    order = np.lexsort(points.T[::-1])
    kept: list[int] = []
    second: list[float] = []
    third: list[float] = []
    for index, y, z in zip(order.tolist(), points[order, 1].tolist(), points[order, 2].tolist(), strict=True):
        place = bisect_right(second, y)
        if place and third[place - 1] <= z:
            continue
        end = place
        while end < len(third) and third[end] >= z:
            end += 1
        start = place - 1 if place and second[place - 1] == y else place
        second[start:end], third[start:end] = [y], [z]
        kept.append(index)
    return np.array(sorted(kept), np.intp)
