"""The answer to a cost table: by which solver, how far from the optimum at most, and what not splitting costs."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from splitnet.errors import InvalidArgumentError
from splitnet.plan.milp import NoPlacementError, solve_milp
from splitnet.plan.mincut import solve_min_cut
from splitnet.plan.table import CostTable
from splitnet.plan.terms import Terms, terms_of, unsplit
from splitnet.tiers import TIERS


@dataclass(frozen=True, slots=True)
class TableAnswer:
    """A placement of least cost, and how sure that is.

    Attributes:
        tier_of: the tier of each node.
        value: its cost: ms (latency, throughput), mJ (energy) or bytes.
        bound: no placement costs less.
        gap: (value - bound) / value; 0 where both are 0.
        method: the solver.
        unsplit: the cost of leaving every node on one tier, by that tier; None where that is not allowed.
    """

    tier_of: dict[str, str]
    value: float
    bound: float
    gap: float
    method: Literal["min-cut", "milp"]
    unsplit: dict[str, float | None]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def solve_table(table: CostTable, *, time_limit_s: float = 60.0) -> TableAnswer:
    """Return the placement of least cost.

    Args:
        table: the problem.
        time_limit_s: how long the mixed-integer programme may take, in seconds; then the best that was found is
            returned, with what is proved of it.

    Raises:
        InvalidArgumentError: no placement is allowed, or none was found in time; the message says why.
    """
    terms = terms_of(table)
    capped = bool(np.isfinite(terms.caps).any())
    try:
        solution = (
            solve_milp(terms, time_limit_s=time_limit_s) if capped or terms.slowest else solve_min_cut(terms)
        )
    except NoPlacementError as err:
        raise InvalidArgumentError(_why_none(table, terms)) from err
    value = terms.value(solution.tiers)
    return TableAnswer(
        tier_of={node.id: TIERS[tier] for node, tier in zip(table.nodes, solution.tiers, strict=True)},
        value=value,
        bound=solution.bound,
        gap=(value - solution.bound) / value if value > 0 else 0.0,
        method="milp" if capped or terms.slowest else "min-cut",
        unsplit=unsplit(terms),
    )


def _why_none(table: CostTable, terms: Terms) -> str:
    """What rules every placement out: without caps everything fits on the device, so it is the caps."""
    held, caps = terms.memory, terms.caps
    limits = ", ".join(f"{tier} {cap:,.0f}" for tier, cap in zip(TIERS, caps, strict=True) if np.isfinite(cap))
    largest = int(held.argmax())
    if held[largest] > caps.max():
        return f"nodes[{largest}].memory_bytes: {table.nodes[largest].id!r} fits on no tier ({limits} bytes)"
    if held.sum() > caps.sum():
        return f"memory_bytes: the nodes hold {held.sum():,.0f} bytes, more than all tiers together ({limits})"
    bound = _bound_to_device(terms)
    if held[bound].sum() > caps[0]:
        names = ", ".join(repr(table.nodes[index].id) for index in bound[:5]) + (", …" if len(bound) > 5 else "")
        return (
            f"keep_on_device: it keeps {names} on the device, which hold {held[bound].sum():,.0f} bytes, "
            f"more than its memory_bytes[0], {caps[0]:,.0f}"
        )
    rules = "data only goes up" + (", keep_on_device holds" if table.keep_on_device else "")
    return (
        f"memory_bytes: the nodes hold {held.sum():,.0f} bytes and cannot be shared out over {limits} bytes "
        f"such that {rules} and every tier's nodes fit"
    )


def _bound_to_device(terms: Terms) -> list[int]:
    """The nodes that are on the device in every placement: those pinned, and all that feed them."""
    feeds: dict[int, list[int]] = {}
    for below, above in terms.edges.tolist():
        feeds.setdefault(above, []).append(below)
    bound, waiting = set[int](), np.flatnonzero(terms.pinned).tolist()
    while waiting:
        node = waiting.pop()
        if node not in bound:
            bound.add(node)
            waiting += feeds.get(node, [])
    return sorted(bound)
