"""Plans for other bandwidths of the device's link: which are worth having, and from where on each is the best."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from splitnet.partition.search import Found, Search, identity
from splitnet.plan import CostTable, Placement, evaluate, order_through, sweep

#: Bandwidths of the device's link that plans are made for, bit/s: 50 kbit/s to 1 Gbit/s, eleven a decade.
BANDWIDTHS_BPS: tuple[float, ...] = tuple(float(one) for one in np.geomspace(5e4, 1e9, 48))

# Plans are added as long as they save this share somewhere.
_WORTH_A_PLAN = 1e-3
_TINY = 1e-12

FloatArray = NDArray[np.float64]


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


def plans_for(search: Search, first: Found, count: int) -> list[Found]:
    """Return up to `count` plans, `first` first, that are together closest to the best at every bandwidth.

    Again and again, the bandwidth is found at which the plans so far are furthest from the best, and the best plan
    there is searched for, verified and added.

    Args:
        search: of the same job.
        first: the plan for the site as it is.
        count: at least 1.
    """
    found = [first]
    settled: list[int] = []  # bandwidths whose best plan is in the package already
    while len(found) < count:
        table = search.costs.table
        swept = sweep(table, order_through(table, first.solution.placement), BANDWIDTHS_BPS)
        best = np.array([placement.value for placement in swept])
        have = np.min([values_of(search.all_costs.table, one.solution.placement) for one in found], axis=0)
        regret = have / np.maximum(best, _TINY)
        regret[settled] = 1.0
        worst = int(regret.argmax())
        if regret[worst] <= 1 + _WORTH_A_PLAN:
            break
        settled.append(worst)
        another = search.best(at_bandwidth(table, BANDWIDTHS_BPS[worst]))
        if all(identity(another.solution.placement) != identity(one.solution.placement) for one in found):
            found.append(another)
    return found


def values_of(
    table: CostTable, placement: Placement, bandwidths_bps: Sequence[float] = BANDWIDTHS_BPS
) -> list[float]:
    """Return what `placement`, codecs and all, costs at each bandwidth of the device's link."""
    return [
        evaluate(at_bandwidth(table, bps), placement.tier_of, placement.exits, placement.codecs).value
        for bps in bandwidths_bps
    ]


def in_order(search: Search, found: Sequence[Found]) -> list[PlanFrom]:
    """Say from which bandwidth on each plan is the best, and leave out those that never are, but for the first.

    Where plans were run, their values are those measured at the site's bandwidth, and change with the bandwidth as
    predicted. A first plan that is never the best begins at the site's bandwidth.
    """
    values = np.array([_values(search, one, BANDWIDTHS_BPS) for one in found])
    winners = values.argmin(axis=0)
    plans = []
    for index, one in enumerate(found):
        wins = np.flatnonzero(winners == index)
        if wins.size:
            start = int(wins[0])
            rival = found[int(winners[start - 1])] if start else None
            plans.append(PlanFrom(one, 0.0 if rival is None else _takes_over(search, one, rival, start)))
        elif not index:
            plans.append(PlanFrom(one, search.all_costs.table.links[0].bandwidth_bps))
    return plans


def _values(search: Search, found: Found, bandwidths_bps: Sequence[float]) -> FloatArray:
    placement = found.solution.placement
    by_running = found.measured is not None and search.options.objective in ("latency", "throughput")
    more = found.measured.value - placement.value if found.measured is not None and by_running else 0.0
    return np.array(values_of(search.all_costs.table, placement, bandwidths_bps)) + more


def _takes_over(search: Search, ours: Found, rival: Found, start: int) -> float:
    """Find where between two of the sweep's bandwidths `ours` begins to be the better, by bisection."""
    low, high = BANDWIDTHS_BPS[start - 1], BANDWIDTHS_BPS[start]
    for _ in range(20):
        middle = float(np.sqrt(low * high))
        is_better = _values(search, ours, [middle])[0] <= _values(search, rival, [middle])[0]
        low, high = (low, middle) if is_better else (middle, high)
    return high
