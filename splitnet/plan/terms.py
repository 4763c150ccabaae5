"""A cost table as arrays, and what a given placement costs and breaks.

With t(v) the tier of node v (0 device, 1 edge, 2 cloud; an input counts as made on tier 0), a tensor from p goes
up over link l if t(p) <= l < max t(consumer), and an answer from p comes down over it if l < t(p). Each crosses a
link at most once, so the cost is linear in: which tier a node has, which tensor crosses which link, which link is
used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import InvalidArgumentError
from splitnet.plan.table import CostTable
from splitnet.tiers import TIERS

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Terms:
    """The numbers of one objective, for n nodes, m tensors and e uses of a tensor by a node.

    Attributes:
        node_cost: `[n, 3]`, of a node on each tier: ms, mJ, or 0 for the objective "bytes".
        transfer: `[m, 2]`, of a tensor crossing each link: ms, mJ or bytes.
        once: `[2]`, paid once for a link that anything crosses: its round trip in ms, else 0.
        slowest: the cost is the largest of the five stages (throughput) instead of their sum.
        producer: `[m]`, index of the node that makes a tensor; -1 for an input.
        uses: `[e, 2]`, (tensor, consuming node).
        answers: indices of the tensors that a node makes and none consumes.
        memory: `[n]`, bytes.
        caps: `[3]`, bytes; infinite without a cap.
        pinned: `[n]`, nodes that must be on the device.
    """

    node_cost: Floats
    transfer: Floats
    once: Floats
    slowest: bool
    producer: Indices
    uses: Indices
    answers: Indices
    memory: Floats
    caps: Floats
    pinned: Flags

    @property
    def edges(self) -> Indices:
        """`[<= e, 2]`: (producing node, consuming node) of every use of a tensor that is no input."""
        made = self.producer[self.uses[:, 0]]
        return np.stack((made, self.uses[:, 1]), axis=1)[made >= 0]

    def crossings(self, tiers: Indices) -> Flags:
        """Return `[m, 2]`: which tensor crosses which link, up or down, when node v is on tier `tiers[v]`."""
        bottom = np.where(self.producer < 0, 0, tiers[self.producer])
        top = bottom.copy()
        np.maximum.at(top, self.uses[:, 0], tiers[self.uses[:, 1]])
        top[self.answers], bottom[self.answers] = bottom[self.answers], 0
        links = np.arange(len(TIERS) - 1)
        crosses: Flags = (bottom[:, None] <= links) & (links < top[:, None])
        return crosses

    def stages(self, tiers: Indices) -> Floats:
        """Return the cost of device, edge, cloud, device-edge and edge-cloud, `[5]`, without what is paid once."""
        times = self.node_cost[np.arange(len(tiers)), tiers]
        nodes = np.bincount(tiers, weights=times, minlength=len(TIERS))
        return np.concatenate((nodes, (self.transfer * self.crossings(tiers)).sum(axis=0)))

    def value(self, tiers: Indices) -> float:
        """Return the objective of a placement, whether it is allowed or not."""
        stages = self.stages(tiers)
        if self.slowest:
            return float(stages.max())
        return float(stages.sum() + self.once @ self.crossings(tiers).any(axis=0))

    def held(self, tiers: Indices) -> Floats:
        """Return the bytes of memory that the nodes of each tier hold, `[3]`."""
        return np.bincount(tiers, weights=self.memory, minlength=len(TIERS)).astype(np.float64)

    def allows(self, tiers: Indices) -> bool:
        """Whether a placement keeps the order, the caps and what must stay on the device."""
        below, above = tiers[self.edges].T
        return bool(
            (below <= above).all() and not tiers[self.pinned].any() and (self.held(tiers) <= self.caps).all()
        )


def terms_of(table: CostTable) -> Terms:
    """Return the numbers of the table's objective.

    Raises:
        InvalidArgumentError: the numbers are so large that their sum is not finite.
    """
    index = {node.id: position for position, node in enumerate(table.nodes)}
    uses = [(n, index[name]) for n, tensor in enumerate(table.tensors) for name in tensor.consumers]
    producer = [-1 if tensor.producer is None else index[tensor.producer] for tensor in table.tensors]
    made = [n for n, tensor in enumerate(table.tensors) if tensor.producer is not None and not tensor.consumers]
    node_cost, transfer, once = _costs(table)
    with np.errstate(over="ignore"):
        if not np.isfinite(node_cost.sum() + transfer.sum() + once.sum()):
            raise InvalidArgumentError("nodes, tensors, links: the sum of all costs is too large to be a number")
    return Terms(
        node_cost=node_cost,
        transfer=transfer,
        once=once,
        slowest=table.objective == "throughput",
        producer=np.array(producer, np.intp),
        uses=np.array(uses, np.intp).reshape(-1, 2),
        answers=np.array(made, np.intp),
        memory=np.array([node.memory_bytes for node in table.nodes]),
        caps=np.array([np.inf if cap is None else cap for cap in table.memory_bytes]),
        pinned=_pinned(table, index),
    )


def _costs(table: CostTable) -> tuple[Floats, Floats, Floats]:
    """The objective's `node_cost`, `transfer` and `once`."""
    size = np.array([tensor.bytes for tensor in table.tensors]).reshape(-1, 1)
    node_ms = np.array([node.cost_ms for node in table.nodes])
    none = np.zeros(len(table.links))
    if table.objective == "energy":
        energy = np.array([node.energy_mj for node in table.nodes], np.float64)
        return energy, size * [link.energy_mj_per_byte for link in table.links], none
    if table.objective == "bytes":
        return np.zeros_like(node_ms), np.repeat(size, len(table.links), axis=1), none
    with np.errstate(over="ignore"):
        transfer = size * 8000 / [link.bandwidth_bps for link in table.links]  # bytes and bits/s to ms
    rtt = none if table.objective == "throughput" else np.array([link.rtt_ms for link in table.links])
    return node_ms, transfer, rtt


def _pinned(table: CostTable, index: Mapping[str, int]) -> Flags:
    """Which nodes make or read a tensor that stays on the device."""
    pinned = np.zeros(len(table.nodes), np.bool_)
    kept = set(table.keep_on_device)
    for tensor in table.tensors:
        if tensor.id in kept:
            names = [*tensor.consumers, *([tensor.producer] if tensor.producer is not None else [])]
            pinned[[index[name] for name in names]] = True
    return pinned


def unsplit(terms: Terms) -> dict[str, float | None]:
    """Return what it costs to leave every node on one tier, by that tier; None where that is not allowed."""
    costs: dict[str, float | None] = {}
    for number, tier in enumerate(TIERS):
        tiers = np.full(len(terms.node_cost), number, np.intp)
        costs[tier] = terms.value(tiers) if terms.allows(tiers) else None
    return costs


def tiers_of(table: CostTable, tier_of: Mapping[str, str]) -> Indices:
    """Return the tier of each node as a number, `[n]`.

    Raises:
        InvalidArgumentError: a node is missing or unknown, or its tier is not one of the three.
    """
    names = [node.id for node in table.nodes]
    for name in (*names, *tier_of):
        if name not in tier_of or tier_of[name] not in TIERS:
            raise InvalidArgumentError(f"tier_of[{name!r}]: expected one of {', '.join(TIERS)}")
    if unknown := tier_of.keys() - set(names):
        raise InvalidArgumentError(f"tier_of[{min(unknown)!r}]: there is no such node")
    return np.array([TIERS.index(tier_of[name]) for name in names], np.intp)


def evaluate(table: CostTable, tier_of: Mapping[str, str]) -> float:
    """Return the objective of a placement: ms, mJ or bytes.

    Raises:
        InvalidArgumentError: the placement does not name each node once, sends something down before the end, or
            breaks a cap or `keep_on_device`.
    """
    terms, tiers = terms_of(table), tiers_of(table, tier_of)
    names = [node.id for node in table.nodes]
    for below, above in terms.edges:
        if tiers[below] > tiers[above]:
            raise InvalidArgumentError(f"tier_of[{names[above]!r}]: below {names[below]!r}, which feeds it")
    for node in np.flatnonzero(terms.pinned & (tiers > 0)):
        raise InvalidArgumentError(f"tier_of[{names[node]!r}]: keep_on_device keeps it on the device")
    if broken := _over(terms, tiers):
        raise InvalidArgumentError(f"memory_bytes: the nodes on {', '.join(broken)} need more than the cap")
    return terms.value(tiers)


def _over(terms: Terms, tiers: Indices) -> Sequence[str]:
    return [TIERS[tier] for tier in np.flatnonzero(terms.held(tiers) > terms.caps)]
