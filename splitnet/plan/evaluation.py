"""The exact cost of a given placement."""

from collections.abc import Mapping, Sequence

import numpy as np

from splitnet.errors import InvalidArgumentError
from splitnet.plan.arrays import Arrays, Indices, exits_named
from splitnet.plan.layout import Layout, check_layout, layout_of, tiers_of
from splitnet.plan.placement import ExitNames, Placement
from splitnet.plan.prices import Priced, priced
from splitnet.plan.sending import Sender, best_sent, sender_of
from splitnet.plan.spending import Sent, Spending, bytes_up, spending_of
from splitnet.plan.table import CostTable
from splitnet.tiers import TIERS


def evaluate(
    table: CostTable,
    tier_of: Mapping[str, str],
    exits: ExitNames = (None, None),
    codecs: Sequence[Mapping[str, str]] | None = None,
) -> Placement:
    """Return the given placement with its cost.

    A device exit demanded by `device_must_exit` is not asked for here, so that any choice can be compared.

    Args:
        table: the numbers.
        tier_of: the tier of every node.
        exits: on the device and on the edge.
        codecs: for each link used, how every tensor that crosses it upwards is sent; None: the best ways.

    Raises:
        InvalidArgumentError: the placement does not name each node once, sends something down before the end or
            what cannot be sent, uses a tier for what it cannot run, or breaks a cap or `keep_on_device`.
    """
    problem = priced(table)
    layout = layout_of(tiers_of(problem.arrays, tier_of), exits_named(problem.arrays.heads, exits))
    check_layout(problem.arrays, layout, exits)
    if codecs is None:
        return place(problem, layout, sender_of(problem))
    return described(problem, layout, _sent(problem.arrays, layout, codecs))


def place(problem: Priced, layout: Layout, sender: Sender) -> Placement:
    """Return an allowed layout with its best codecs and its cost."""
    return described(problem, layout, best_sent(problem, layout, sender))


def described(problem: Priced, layout: Layout, sent: Sent) -> Placement:
    """Return an allowed layout with its cost when tensors are sent as `sent` says."""
    arrays, goal = problem.arrays, problem.goal
    latency = spending_of(arrays, problem.latency, layout, sent)
    stages = _stages(latency, layout)
    latency_ms = sum(ms for _, ms in stages)
    value = latency_ms
    if goal is not problem.latency:
        value = spending_of(arrays, goal, layout, sent).value(slowest=goal.slowest)
    energy_mj = None
    if problem.energy is not None:
        energy_mj = spending_of(arrays, problem.energy, layout, sent).value(slowest=False)
    return Placement(
        tier_of=dict(zip(arrays.nodes, [TIERS[tier] for tier in layout.tiers.tolist()], strict=True)),
        exits=arrays.heads.names_of(layout.exits),
        codecs=tuple(_named(arrays, ways) for ways in sent.ways),
        value=value,
        latency_ms=latency_ms,
        stages=stages,
        bytes=bytes_up(arrays, layout, sent),
        energy_mj=energy_mj,
    )


def _stages(spending: Spending, layout: Layout) -> tuple[tuple[str, float], ...]:
    stages: list[tuple[str, float]] = []
    for tier in range(layout.last + 1):
        stages.append((TIERS[tier], float(spending.nodes[tier])))
        if tier < layout.last:
            if layout.exits[tier] is not None:
                stages.append((f"{TIERS[tier]} exit", float(spending.heads[tier])))
            stages.append((f"{TIERS[tier]}-{TIERS[tier + 1]}", float(spending.on_links[tier])))
    return tuple(stages)


def _named(arrays: Arrays, ways: Indices) -> dict[str, str]:
    """How each tensor is sent, in topological order."""
    sent = np.flatnonzero(ways >= 0)
    position = np.where(arrays.producer[sent] < 0, -1, arrays.rank[arrays.producer[sent]])
    in_order = sent[np.argsort(position, kind="stable")]
    return {arrays.table.tensors[tensor].id: arrays.ways[ways[tensor]].codec for tensor in in_order}


def _sent(arrays: Arrays, layout: Layout, codecs: Sequence[Mapping[str, str]]) -> Sent:
    """Look the given codecs up.

    Raises:
        InvalidArgumentError: they are not those of the tensors that cross.
    """
    if len(codecs) != layout.last:
        raise InvalidArgumentError(f"codecs: expected {layout.last}, one a link used, got {len(codecs)}")
    ways = []
    for link, named in enumerate(codecs):
        crossing = layout.crossing(arrays, link)
        expected = {arrays.table.tensors[tensor].id for tensor in np.flatnonzero(crossing)}
        if different := expected ^ named.keys():
            raise InvalidArgumentError(
                f"codecs[{link}]: expected those of {sorted(expected)}, which cross from {TIERS[link]} to "
                f"{TIERS[link + 1]}; {min(different)!r} is missing or too many"
            )
        ways.append(_ways(arrays, named, f"codecs[{link}]"))
    is_relay = layout.last == 2 and layout.edge_is_idle and bool((ways[0] == ways[1]).all())
    return Sent(tuple(ways), is_relay=is_relay)


def _ways(arrays: Arrays, named: Mapping[str, str], where: str) -> Indices:
    tensors = [entry.id for entry in arrays.table.tensors]
    number = {
        (tensors[tensor], way.codec): n
        for n, (tensor, way) in enumerate(zip(arrays.way_tensor, arrays.ways, strict=True))
    }
    ways = np.full(len(tensors), -1, np.intp)
    for tensor, name in named.items():
        if (tensor, name) not in number:
            known = [codec for id_, codec in number if id_ == tensor]
            raise InvalidArgumentError(f"{where}[{tensor!r}]: it cannot be sent as {name!r}, only as {known}")
        ways[tensors.index(tensor)] = number[tensor, name]
    return ways
