"""What every pair of prefixes costs on device, edge and cloud, for one choice of exits.

The device runs prefix i, the edge what lies between it and prefix j, the cloud the rest; exits add to that what
they depend on. Each tier's cost is then a function of i, a function of j, or a sum of both.
"""

from dataclasses import dataclass

import numpy as np

from splitnet.plan.arrays import Arrays, Exits, Flags, Floats, Indices
from splitnet.plan.line import Line
from splitnet.plan.prices import Prices


@dataclass(frozen=True, slots=True)
class Prefixes:
    """Costs of K + 1 prefixes with given exits, each weighted by the share of samples that get there.

    Attributes:
        exits: on the device and on the edge.
        device: `[K + 1]`, of the device below prefix i; infinite where it may not be the device's.
        edge_from: `[K + 1]`, what the edge saves by starting at prefix i.
        edge_to: `[K + 1]`, of the edge up to prefix j if it starts at prefix 0.
        cloud: `[K + 1]`, of the cloud above prefix j; infinite where that may not be the cloud's.
        lowest: `[K + 1]`, the lowest i from which the edge may run up to prefix j; may be above j.
    """

    exits: Exits
    device: Floats
    edge_from: Floats
    edge_to: Floats
    cloud: Floats
    lowest: Indices


def reach_of(arrays: Arrays, exits: Exits) -> Floats:
    """Return `[3]`: the share of samples that get to each tier."""
    return np.array([1.0, *arrays.shares(exits)])


def work_of(arrays: Arrays, node: Floats, exits: Exits) -> Floats:
    """Return `[n, 3, 3]`: what a node with a label (middle axis) costs on each tier (last axis), weighted.

    Args:
        arrays: the table.
        node: `[n, 3]`, cost of a node on each tier.
        exits: on the device and on the edge.
    """
    work: Floats = arrays.present(exits) * node[:, None, :] * reach_of(arrays, exits)
    return work


def heads_of(arrays: Arrays, head: Floats, exits: Exits) -> Floats:
    """Return `[3]`: what the exits' heads cost on each tier, weighted; `head` is `[x, 3]`."""
    costs = np.zeros(3)
    for tier, index in enumerate(exits):
        if index is not None:
            costs[tier] = reach_of(arrays, exits)[tier] * head[index, tier]
    return costs


def memory_of(arrays: Arrays, exits: Exits) -> tuple[Floats, Floats]:
    """Return the bytes that a node with a label holds on each tier, `[n, 3, 3]`, and those of the heads, `[3]`."""
    heads = np.zeros(3)
    for tier, index in enumerate(exits):
        if index is not None:
            heads[tier] = arrays.heads.memory[index]
    return arrays.present(exits) * arrays.memory[:, None, None], heads


def prefixes_of(arrays: Arrays, prices: Prices, line: Line, exits: Exits) -> Prefixes:
    """Return the costs of every pair of prefixes of `line` with `exits`."""
    work = _sums(line, work_of(arrays, prices.node, exits), heads_of(arrays, prices.head, exits))
    held = _sums(line, *memory_of(arrays, exits))
    allowed = arrays.allowed(exits)
    device_fits = ~_behind(line, ~allowed[:, 0]) & (held.device <= arrays.caps[0])
    cloud_fits = ~_ahead(line, ~allowed[:, 2]) & (held.cloud <= arrays.caps[2])
    return Prefixes(
        exits,
        device=np.where(device_fits, work.device, np.inf),
        edge_from=work.edge_from,
        edge_to=work.edge_to,
        cloud=np.where(cloud_fits, work.cloud, np.inf),
        lowest=np.maximum(
            _last(line, ~allowed[:, 1]),
            # edge_from never falls: it is a sum of amounts along the line.
            np.searchsorted(held.edge_from, held.edge_to - arrays.caps[1]),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Sums:
    """Amounts on the tiers, as in `Prefixes`."""

    device: Floats
    edge_from: Floats
    edge_to: Floats
    cloud: Floats


def _sums(line: Line, work: Floats, heads: Floats) -> _Sums:
    sums = line.sums(work)
    total = sums[-1]
    return _Sums(
        # Above the device it makes no difference which tier it is: only an exit's nodes are computed below.
        device=sums[:, 0, 0] + (total[1, 0] - sums[:, 1, 0]) + heads[0],
        edge_from=sums[:, 1, 1],
        edge_to=sums[:, 1, 1] + (total[2, 1] - sums[:, 2, 1]) + heads[1],
        cloud=total[2, 2] - sums[:, 2, 2],
    )


def _behind(line: Line, flags: Flags) -> Flags:
    """Return `[K + 1]`: whether a prefix holds one of the flagged nodes."""
    behind: Flags = line.sums(flags.astype(np.float64)) > 0.5
    return behind


def _ahead(line: Line, flags: Flags) -> Flags:
    """Return `[K + 1]`: whether a prefix does not hold all flagged nodes."""
    sums = line.sums(flags.astype(np.float64))
    ahead: Flags = sums < sums[-1] - 0.5
    return ahead


def _last(line: Line, flags: Flags) -> Indices:
    """Return `[K + 1]`: how long the shortest prefix with the same flagged nodes is."""
    last = np.zeros(line.length + 1, np.intp)
    last[1:] = np.where(flags[line.nodes], np.arange(1, line.length + 1), 0)
    return np.maximum.accumulate(last)
