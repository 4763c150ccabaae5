"""The best placements whose tiers hold prefixes of a given order of the nodes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from splitnet.errors import InvalidArgumentError
from splitnet.plan.additive import AdditivePairs
from splitnet.plan.arrays import NO_EXITS, Exits
from splitnet.plan.evaluation import place
from splitnet.plan.layout import Layout
from splitnet.plan.line import Line, line_of
from splitnet.plan.placement import Placement, simplest
from splitnet.plan.prefixes import prefixes_of
from splitnet.plan.prices import Priced, priced
from splitnet.plan.sending import sender_of
from splitnet.plan.slowest import SlowestPairs
from splitnet.plan.table import CostTable
from splitnet.plan.windows import Pair

# Candidates that are so near, relatively, may be equal: their sums are made in another order.
_NEAR = 1e-9


def solve_chain(table: CostTable, order: Sequence[str]) -> Placement:
    """Return the best placement over the prefixes of `order`.

    Where several are equal, one with fewer tiers, then with fewer exits, then of less latency is returned.

    Args:
        table: the numbers.
        order: a topological order of all nodes.

    Raises:
        InvalidArgumentError: it is none, or no prefixes are allowed.
    """
    return _first(_Chain.of(priced(table), order))


def ranked(table: CostTable, order: Sequence[str], count: int) -> tuple[Placement, ...]:
    """Return the `count` best placements over the prefixes of `order`, best first, or all if there are fewer.

    They differ in their nodes' tiers or in their exits; each has its best codecs. Unsplit ones are among them.

    Raises:
        InvalidArgumentError: `order` is not a topological order of all nodes.
    """
    return tuple(_Chain.of(priced(table), order).best(count))


def best_split(table: CostTable, order: Sequence[str]) -> Placement | None:
    """Return the best placement over the prefixes of `order` in which at least two tiers compute something.

    A tier computes something when it runs a node or an exit's head. None: there is no such placement.

    Raises:
        InvalidArgumentError: `order` is not a topological order of all nodes.
    """
    return next(iter(_Chain.of(priced(table), order).best(1, split_only=True)), None)


def sweep(
    table: CostTable, order: Sequence[str], bandwidths_bps: Sequence[float], link: int = 0
) -> list[Placement]:
    """Return the best placement over the prefixes of `order` at each bandwidth of one link.

    Args:
        table: the numbers.
        order: a topological order of all nodes.
        bandwidths_bps: bits a second, each above zero.
        link: 0 device to edge, 1 edge to cloud.

    Raises:
        InvalidArgumentError: as for `solve_chain`, or a bandwidth or the link is out of range.
    """
    if link not in (0, 1):
        raise InvalidArgumentError(f"link: expected 0 or 1, got {link}")
    for index, bandwidth_bps in enumerate(bandwidths_bps):
        if not 0 < bandwidth_bps < float("inf"):
            raise InvalidArgumentError(f"bandwidths_bps[{index}]: expected a number above 0, got {bandwidth_bps}")
    chain = _Chain.of(priced(table), order)
    return [_first(chain.at_bandwidth(link, bandwidth_bps)) for bandwidth_bps in bandwidths_bps]


def best_along(problem: Priced, order: Sequence[str]) -> Placement | None:
    """Return the best placement over the prefixes of `order`, or None if none is allowed."""
    return next(iter(_Chain.of(problem, order).best(1)), None)


def _first(chain: "_Chain") -> Placement:
    found = chain.best(1)
    if not found:
        raise InvalidArgumentError(
            "no placement along this order is allowed by the tiers that can run its nodes, the ways to send its "
            "tensors, memory_bytes, keep_on_device and device_must_exit together"
        )
    return found[0]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """The device runs prefix i, the edge goes on to prefix j; `value` is close to the exact one."""

    value: float
    i: int
    j: int
    exits: Exits


class _Chain:
    """All that a search along one order needs."""

    def __init__(self, problem: Priced, line: Line, pairs: SlowestPairs | AdditivePairs) -> None:
        self._problem, self._line, self._pairs = problem, line, pairs
        self._sender = sender_of(problem)

    @classmethod
    def of(cls, problem: Priced, order: Sequence[str]) -> "_Chain":
        line = line_of(problem.arrays, order)
        return cls(problem, line, (SlowestPairs if problem.goal.slowest else AdditivePairs)(problem, line))

    def at_bandwidth(self, link: int, bandwidth_bps: float) -> "_Chain":
        """Return the same with another bandwidth of `link`."""
        problem = self._problem.at_bandwidth(link, bandwidth_bps)
        return _Chain(problem, self._line, self._pairs.at(problem))

    def best(self, count: int, *, split_only: bool = False) -> list[Placement]:
        """Return the `count` best placements, best first; with `split_only`, true splits alone."""
        if count < 1:
            raise InvalidArgumentError(f"count: expected at least 1, got {count}")
        least: dict[tuple[int, int, Exits], _Candidate] = {}
        for one in self._candidates(count, split_only=split_only):
            key = (one.i, one.j, one.exits)
            if key not in least or one.value < least[key].value:
                least[key] = one
        found = sorted(least.values(), key=lambda one: one.value)
        limit = found[min(count, len(found)) - 1].value * (1 + _NEAR) if found else 0.0
        # Of each choice of exits there are at most `count`, so equal ones are not many.
        near = [one for one in found if one.value <= limit]
        placed = [place(self._problem, self._layout(one), self._sender) for one in near]
        return sorted(placed, key=simplest)[:count]

    def _layout(self, one: _Candidate) -> Layout:
        tiers = np.full(self._line.length, 2, np.intp)
        tiers[self._line.nodes[: one.j]] = 1
        tiers[self._line.nodes[: one.i]] = 0
        return Layout(tiers, one.exits)

    def _candidates(self, count: int, *, split_only: bool) -> Iterator[_Candidate]:
        """Yield the best pairs of prefixes for every kind of placement and every choice of exits."""
        arrays, pairs, end = self._problem.arrays, self._pairs, self._line.length
        whole = Layout(np.zeros(end, np.intp))
        if not split_only and whole.is_allowed(arrays):
            value = place(self._problem, whole, self._sender).value
            yield _Candidate(value, end, end, NO_EXITS)
        for a in arrays.device_exits():
            bare = split_only and a is None  # then the device has to run a node, or there must be two above it
            below = prefixes_of(arrays, self._problem.goal, self._line, (a, None))
            yield from _each(pairs.to_edge(below, count, lowest=int(bare)), (a, None))
            yield from _each(pairs.relayed(below, count, lowest=int(bare)), (a, None))
            for b in arrays.edge_exits(a):
                both = below if b is None else prefixes_of(arrays, self._problem.goal, self._line, (a, b))
                yield from _each(pairs.to_cloud(both, count, lowest=int(bare and b is None)), (a, b))


def _each(pairs: Sequence[Pair], exits: Exits) -> Iterator[_Candidate]:
    for value, i, j in pairs:
        yield _Candidate(value, i, j, exits)
