"""The best of all placements: every choice of exits and kind of placement by the solver that can prove it."""

import math
import time
from collections.abc import Iterator

import numpy as np

from splitnet.errors import InvalidArgumentError
from splitnet.plan.arrays import Exits, Indices
from splitnet.plan.chain import best_along
from splitnet.plan.evaluation import place
from splitnet.plan.layout import layout_of
from splitnet.plan.milp import solve_milp
from splitnet.plan.mincut import solve_min_cut
from splitnet.plan.placement import Solution, simplest
from splitnet.plan.prices import Priced, priced
from splitnet.plan.refusal import why_none
from splitnet.plan.sending import sender_of
from splitnet.plan.table import CostTable
from splitnet.plan.terms import Found, Kind, Terms, terms_of


def solve(table: CostTable, *, time_limit_s: float = 60.0) -> Solution:
    """Return the placement of least cost over all nodes' tiers, exits and codecs.

    Args:
        table: the problem.
        time_limit_s: how long throughput and memory caps may take, in seconds; then the best that was found is
            returned, with what is proved of it.

    Raises:
        InvalidArgumentError: no placement is allowed, or none was found in time; the message says why.
    """
    return _Search(table, time_limit_s).solution()


class _Search:
    """The best placement so far, and what is proved."""

    def __init__(self, table: CostTable, time_limit_s: float) -> None:
        self._problem = priced(table)
        self._sender = sender_of(self._problem)
        self._time_limit_s = time_limit_s
        self._end = time.monotonic() + time_limit_s
        arrays = self._problem.arrays
        self._by_milp = self._problem.goal.slowest or bool(np.isfinite(arrays.caps).any())
        order = [arrays.nodes[node] for node in np.argsort(arrays.rank)]
        self._best = best_along(self._problem, order)
        self._bound = math.inf

    def solution(self) -> Solution:
        for kind, exits in _cases(self._problem):
            terms = terms_of(self._problem, self._sender, kind, exits)
            self._bound = min(self._bound, self._solve(terms))
        if self._best is None:
            if math.isinf(self._bound):
                raise InvalidArgumentError(why_none(self._problem.arrays))
            raise InvalidArgumentError(f"no placement was found in {self._time_limit_s:g} s: allow more time")
        value = self._best.value
        bound = min(self._bound, value)
        gap = (value - bound) / value if value > 0 else 0.0
        return Solution(self._best, bound, gap, "milp" if self._by_milp else "min-cut")

    @property
    def _upper(self) -> float:
        return math.inf if self._best is None else self._best.value

    def _solve(self, terms: Terms) -> float:
        """Look for something better among the placements of `terms`; return their bound."""
        floor = terms.floor
        if floor >= self._upper:
            return floor
        found = self._milp(terms) if self._by_milp else solve_min_cut(terms)
        if found.tiers is not None:
            placement = place(self._problem, layout_of(found.tiers, terms.exits), self._sender)
            if self._best is None or simplest(placement) < simplest(self._best):
                self._best = placement
        return max(floor, found.bound)

    def _milp(self, terms: Terms) -> Found:
        def value(tiers: Indices) -> float:
            return place(self._problem, layout_of(tiers, terms.exits), self._sender).value

        return solve_milp(terms, value, upper=self._upper, end=self._end)


def _cases(problem: Priced) -> Iterator[tuple[Kind, Exits]]:
    """Yield every kind of placement that leaves the device, with every choice of exits that it may have."""
    for a in problem.arrays.device_exits():
        yield "edge", (a, None)
        yield "relay", (a, None)
        for b in problem.arrays.edge_exits(a):
            yield "cloud", (a, b)
