"""Plans for other bandwidths of the device's link: which are worth having, and from where on each is the best."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from splitnet.partition.search import Found, Search
from splitnet.plan import CostTable, Placement, evaluate, order_through, sweep

#: Bandwidths of the device's link that plans are made for, bit/s: 50 kbit/s to 1 Gbit/s, eleven a decade.
BANDWIDTHS_BPS: tuple[float, ...] = tuple(float(one) for one in np.geomspace(5e4, 1e9, 48))


@dataclass(frozen=True, slots=True)
class PlanFrom:
    """A plan of the package.

    Attributes:
        found: the plan.
        bandwidth_from_bps: of the package's plans it is the best from this bandwidth of the device's link on.
    """

    found: Found
    bandwidth_from_bps: float


def at_bandwidth(table: CostTable, bandwidth_bps: float) -> CostTable:
    """Return the same costs with another bandwidth of the device's link."""
    device_edge, edge_cloud = table.links
    return replace(table, links=(replace(device_edge, bandwidth_bps=bandwidth_bps), edge_cloud))


def plans_for(search: Search, first: Found, count: int) -> list[PlanFrom]:
    """Return up to `count` plans, `first` among them and first, that are together closest to the best everywhere.

    Which plans are worth having is read off the sweep over bandwidths; each of those is then searched for anew at
    the bandwidth where it wins most, and verified. Plans that win nowhere are left out, but for the first.

    Args:
        search: of the same job.
        first: the plan for the site as it is.
        count: at least 1.
    """
    found = [first]
    while len(found) < count:
        table = search.costs.table
        swept = sweep(table, order_through(table, first.solution.placement), BANDWIDTHS_BPS)
        best = np.array([placement.value for placement in swept])
        have = np.min([values_of(table, one.solution.placement) for one in found], axis=0)
        regret = have / np.maximum(best, 1e-12)
        worst = int(regret.argmax())
        if regret[worst] <= 1 + 1e-6:
            break
        another = search.best(at_bandwidth(search.costs.table, BANDWIDTHS_BPS[worst]))
        if any(_same(another, one) for one in found):
            break
        found.append(another)
    return _in_order(search, found)


def values_of(
    table: CostTable, placement: Placement, bandwidths_bps: Sequence[float] = BANDWIDTHS_BPS
) -> list[float]:
    """Return what `placement`, codecs and all, costs at each bandwidth of the device's link."""
    return [
        evaluate(at_bandwidth(table, bps), placement.tier_of, placement.exits, placement.codecs).value
        for bps in bandwidths_bps
    ]


def _same(one: Found, other: Found) -> bool:
    a, b = one.solution.placement, other.solution.placement
    return (a.tier_of, a.exits, a.codecs) == (b.tier_of, b.exits, b.codecs)


def _in_order(search: Search, found: Sequence[Found]) -> list[PlanFrom]:
    """Say from where on each is the best, and leave out those that never are."""
    table = search.costs.table
    values = np.array([values_of(table, one.solution.placement) for one in found])
    winners = values.argmin(axis=0)
    plans = []
    for index, one in enumerate(found):
        wins = np.flatnonzero(winners == index)
        if not index or wins.size:
            start = int(wins[0]) if wins.size else 0
            plans.append(PlanFrom(one, _takes_over(table, found, index, start, winners)))
    return plans


def _takes_over(table: CostTable, found: Sequence[Found], index: int, start: int, winners: np.ndarray) -> float:
    """Find the bandwidth between two of the sweep at which plan `index` begins to be the better, by bisection."""
    if start == 0:
        return 0.0
    rival = found[int(winners[start - 1])].solution.placement
    ours = found[index].solution.placement
    low, high = BANDWIDTHS_BPS[start - 1], BANDWIDTHS_BPS[start]
    for _ in range(20):
        middle = float(np.sqrt(low * high))
        a, b = values_of(table, ours, [middle])[0], values_of(table, rival, [middle])[0]
        low, high = (low, middle) if a <= b else (middle, high)
    return high
