"""The best pairs of prefixes for throughput: the slowest of five stages, over all combinations of codecs.

With the codecs of both links chosen, the stages of device and first link depend on prefix i alone, those of cloud
and second link on prefix j alone, and the edge's is a sum of both. Each combination of codecs that may be best
makes an option of its prefix with two numbers, and the value of a pair of options is a maximum of three.
"""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass

import numpy as np

from splitnet.plan.arrays import Arrays, Flags, Floats, Indices
from splitnet.plan.fronts import Fronts
from splitnet.plan.line import Line
from splitnet.plan.prefixes import Prefixes
from splitnet.plan.prices import Priced
from splitnet.plan.sending import link_costs, relay_costs
from splitnet.plan.windows import Pair, least

# So many values are worked out at once.
_MOST_VALUES = 1_000_000


class SlowestPairs:
    """Searches prefixes i <= j in O(K^2) for one choice of exits."""

    def __init__(self, problem: Priced, line: Line) -> None:
        self._problem, self._line = problem, line
        arrays, goal = problem.arrays, problem.goal
        self._below = _Combinations(arrays, line, link_costs(arrays, goal, 0))
        self._above = _Combinations(arrays, line, link_costs(arrays, goal, 1)).behind(line.end)
        self._relay = _Combinations(arrays, line, relay_costs(arrays, goal)).behind(line.end)

    def at(self, problem: Priced) -> "SlowestPairs":
        """Return the same for other bandwidths: what encoding and decoding take does not depend on them."""
        other = copy(self)
        other._problem = problem  # noqa: SLF001  (its own kind)
        return other

    def to_edge(self, prefixes: Prefixes, count: int, *, lowest: int) -> list[Pair]:
        """Return the best placements that end at the edge, as (value, i, K), with i at least `lowest`."""
        end = self._line.length
        options = self._lower(prefixes)
        values = np.maximum(options.own, options.edge + prefixes.edge_to[end])
        best = self._by_prefix(options.prefix, values)
        best[: max(lowest, int(prefixes.lowest[end]))] = np.inf
        return [(float(best[i]), i, end) for i in least(best, count).tolist()]

    def relayed(self, prefixes: Prefixes, count: int, *, lowest: int) -> list[Pair]:
        """Return the best placements whose edge only passes on what it gets, as (value, i, i)."""
        points, share = self._relay, self._problem.arrays.shares(prefixes.exits)[0]
        i, costs = points.prefix, share * points.costs
        device, cloud = prefixes.device[i] + costs[:, 0], prefixes.cloud[i] + costs[:, 2]
        links = [self._transfer(prefixes, points, link) for link in (0, 1)]
        best = self._by_prefix(i, np.max([device, *links, cloud], axis=0))
        best[:lowest] = np.inf
        return [(float(best[i]), i, i) for i in least(best, count).tolist()]

    def to_cloud(self, prefixes: Prefixes, count: int, *, lowest: int) -> list[Pair]:
        """Return the best placements that end in the cloud, as (value, i, j), with j at least `lowest`."""
        lower, upper = self._lower(prefixes), self._upper(prefixes)
        upper = upper.where((upper.prefix >= lowest) & (prefixes.lowest[upper.prefix] <= upper.prefix))
        pairs: list[Pair] = []
        step = max(1, _MOST_VALUES * self._line.length // (len(lower.prefix) * len(upper.prefix) + 1))
        for start in range(0, self._line.length, step):
            some = upper.where((start <= upper.prefix) & (upper.prefix < start + step))
            if len(pairs) == count:
                limit = pairs[-1][0]
                lower, some = lower.where(lower.own <= limit), some.where(some.own <= limit)
            pairs = sorted(pairs + _least_pairs(lower, some, prefixes.lowest, count))[:count]
        return pairs

    def _lower(self, prefixes: Prefixes) -> "_Options":
        """What depends on prefix i: the slower of the device and its link, and what the edge gets to do."""
        arrays, b = self._problem.arrays, prefixes.exits[1]
        end = self._line.end
        if b is not None:
            end = np.where(arrays.heads.reads[b], self._line.length, end)
        points = self._below.behind(end)
        i, costs = points.prefix, arrays.shares(prefixes.exits)[0] * points.costs
        own = np.maximum(prefixes.device[i] + costs[:, 0], self._transfer(prefixes, points, 0))
        return _Options(i, own, costs[:, 2] - prefixes.edge_from[i])

    def _upper(self, prefixes: Prefixes) -> "_Options":
        """What depends on prefix j: the slower of the second link and the cloud, and what the edge gets to do."""
        points = self._above
        j, costs = points.prefix, self._problem.arrays.shares(prefixes.exits)[1] * points.costs
        own = np.maximum(self._transfer(prefixes, points, 1), prefixes.cloud[j] + costs[:, 2])
        return _Options(j, own, costs[:, 0] + prefixes.edge_to[j])

    def _transfer(self, prefixes: Prefixes, points: "_Points", link: int) -> Floats:
        """`[o]`: how long `link` is busy, both ways."""
        goal, share = self._problem.goal, self._problem.arrays.shares(prefixes.exits)[link]
        nbytes = points.costs[:, 1] + self._line.answers[points.prefix]
        busy: Floats = share * (goal.per_byte[link] * nbytes + goal.message[link])
        return busy

    def _by_prefix(self, prefix: Indices, values: Floats) -> Floats:
        """`[K]`: the least of the values of each prefix."""
        best = np.full(self._line.length, np.inf)
        np.minimum.at(best, prefix, values)
        return best


@dataclass(frozen=True, slots=True)
class _Points:
    """What sending behind each prefix can cost: o combinations of codecs in order of the prefixes.

    Attributes:
        prefix: `[o]`, below K.
        costs: `[o, 3]`: encoding, bytes, decoding.
    """

    prefix: Indices
    costs: Floats


@dataclass(frozen=True, slots=True)
class _Options:
    """One side of a pair: `own` is its slower stage, `edge` its part of the edge's, all `[o]`."""

    prefix: Indices
    own: Floats
    edge: Floats

    def where(self, some: Flags) -> "_Options":
        return _Options(self.prefix[some], self.own[some], self.edge[some])


def _least_pairs(lower: _Options, upper: _Options, lowest: Indices, count: int) -> list[Pair]:
    if not (len(lower.prefix) and len(upper.prefix)):
        return []
    slowest = np.maximum(lower.own, upper.own[:, None])
    np.maximum(slowest, lower.edge + upper.edge[:, None], out=slowest)
    above, below = upper.prefix[:, None], lower.prefix
    slowest[(below > above) | (below < lowest[above])] = np.inf
    i, first_i = np.unique(lower.prefix, return_index=True)
    j, first_j = np.unique(upper.prefix, return_index=True)
    best = np.minimum.reduceat(np.minimum.reduceat(slowest, first_j, axis=0), first_i, axis=1)
    rows, columns = np.unravel_index(least(best.ravel(), count), best.shape)
    return list(zip(best[rows, columns].tolist(), i[columns].tolist(), j[rows].tolist(), strict=True))


class _Combinations:
    """All combinations that may be best of ways to send what crosses behind a prefix."""

    def __init__(self, arrays: Arrays, line: Line, costs: Floats) -> None:
        self._line, self._fronts = line, Fronts(arrays, costs)
        ways = np.bincount(arrays.way_tensor, minlength=len(arrays.producer))
        self._free = np.flatnonzero(ways > 1)
        self._alone = np.full((len(ways), 3), np.inf)
        self._alone[arrays.way_tensor] = costs
        self._alone[self._free] = 0.0
        self._known: dict[bytes, _Points] = {}

    def behind(self, end: Indices) -> _Points:
        """Return those behind each prefix, where a tensor crosses until prefix `end`, `[m]`."""
        key = end.tobytes()
        if key not in self._known:
            self._known[key] = self._behind(end)
        return self._known[key]

    def _behind(self, end: Indices) -> _Points:
        line = self._line
        fixed = np.column_stack([line.crossing(column, line.start, end) for column in self._alone.T])
        possible: Flags = np.asarray(np.isfinite(fixed).all(axis=1))
        prefixes, points = [np.zeros(0, np.intp)], [np.zeros((0, 3))]
        for prefix, tensors in enumerate(_crossing(line, self._free, end)):
            if possible[prefix]:
                points.append(fixed[prefix] + self._fronts.of(tensors).points)
                prefixes.append(np.full(len(points[-1]), prefix))
        return _Points(np.concatenate(prefixes), np.concatenate(points))


def _crossing(line: Line, tensors: Indices, end: Indices) -> Iterator[tuple[int, ...]]:
    """Yield which of `tensors` cross behind each prefix below K."""
    come: list[list[int]] = [[] for _ in range(line.length + 1)]
    for tensor in tensors[line.start[tensors] <= end[tensors]].tolist():
        come[line.start[tensor]].append(tensor)
    crossing: tuple[int, ...] = ()
    for prefix in range(line.length):
        crossing = (*(tensor for tensor in crossing if end[tensor] >= prefix), *come[prefix])
        yield crossing
