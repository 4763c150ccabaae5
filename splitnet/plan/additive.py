"""The best pairs of prefixes for an objective that is a sum: latency, energy or bytes."""

import numpy as np

from splitnet.plan.arrays import Floats
from splitnet.plan.line import Line
from splitnet.plan.prefixes import Prefixes
from splitnet.plan.prices import Cheapest, Priced
from splitnet.plan.sending import sender_of
from splitnet.plan.windows import Pair, least, least_pairs


class AdditivePairs:
    """Searches prefixes i <= j in O(K log K) for one choice of exits: the cost is f(i) + g(j)."""

    def __init__(self, problem: Priced, line: Line) -> None:
        self._problem, self._line, self._sender = problem, line, sender_of(problem)

    def at(self, problem: Priced) -> "AdditivePairs":
        """Return the same for other bandwidths."""
        return AdditivePairs(problem, self._line)

    def to_edge(self, prefixes: Prefixes, count: int, *, lowest: int) -> list[Pair]:
        """Return the best placements that end at the edge, as (value, i, K), with i at least `lowest`."""
        end = self._line.length
        low = max(lowest, int(prefixes.lowest[end]))
        total = (self._below(prefixes) + float(prefixes.edge_to[end]))[low:end]
        return [(float(total[i]), low + i, end) for i in least(total, count).tolist()]

    def relayed(self, prefixes: Prefixes, count: int, *, lowest: int) -> list[Pair]:
        """Return the best placements whose edge only passes on what it gets, as (value, i, i)."""
        links = sum(self._overhead(prefixes, link) for link in (0, 1))
        total = prefixes.device + prefixes.cloud + links + self._up(prefixes, self._sender.relay, link=1)
        total[:lowest] = np.inf
        return [(float(total[i]), i, i) for i in least(total[:-1], count).tolist()]

    def to_cloud(self, prefixes: Prefixes, count: int, *, lowest: int) -> list[Pair]:
        """Return the best placements that end in the cloud, as (value, i, j), with j at least `lowest`."""
        above = self._overhead(prefixes, 1) + self._up(prefixes, self._sender.links[1], link=1)
        second = prefixes.edge_to + prefixes.cloud + above
        second[:lowest] = np.inf
        return least_pairs(self._below(prefixes)[:-1], second[:-1], prefixes.lowest[:-1], count)

    def _below(self, prefixes: Prefixes) -> Floats:
        """`[K + 1]`: what depends on prefix i."""
        up = self._up(prefixes, self._sender.links[0], link=0)
        return prefixes.device - prefixes.edge_from + self._overhead(prefixes, 0) + up

    def _overhead(self, prefixes: Prefixes, link: int) -> Floats:
        """`[K + 1]`: what crossing a link costs beside what goes up."""
        goal, share = self._problem.goal, self._problem.arrays.shares(prefixes.exits)[link]
        overhead: Floats = goal.per_byte[link] * self._line.answers + goal.message[link] + goal.once[link]
        return share * overhead

    def _up(self, prefixes: Prefixes, cheapest: Cheapest, *, link: int) -> Floats:
        """`[K + 1]`: what all tensors cost that cross behind a prefix."""
        arrays, end = self._problem.arrays, self._line.end
        b = prefixes.exits[1]
        if link == 0 and b is not None:
            end = np.where(arrays.heads.reads[b], self._line.length, end)
        costs = self._line.crossing(cheapest.cost, self._line.start, end)
        # A share of 0 does not make possible what is not: 0 times infinity stays infinite.
        possible = np.isfinite(costs)
        return np.multiply(arrays.shares(prefixes.exits)[link], costs, out=costs, where=possible)
