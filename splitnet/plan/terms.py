"""One kind of placement with given exits, as linear costs of labels, crossings and answers.

With t(v) the label of node v (0 device, 1 edge, 2 cloud; an input counts as made on tier 0), a tensor from p goes
up over link l if t(p) <= l < max t(consumer), and an answer from p comes down over it if l < t(p). What a node
costs each tier depends on its label alone, whatever exits are attached: so all costs are linear in which label a
node has and which tensor crosses which link by which way.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from splitnet.plan.arrays import Exits, Flags, Floats, Indices
from splitnet.plan.prefixes import heads_of, memory_of, work_of
from splitnet.plan.prices import Priced
from splitnet.plan.sending import Sender

#: Where a placement ends, and whether the edge takes part.
Kind = Literal["edge", "relay", "cloud"]
KINDS: tuple[Kind, ...] = ("edge", "relay", "cloud")

#: Positions among the five stages.
TIER_STAGE = (0, 2, 4)
LINK_STAGE = (1, 3)


@dataclass(frozen=True, slots=True)
class Crossings:
    """Ways in which a tensor may cross a link upwards.

    Attributes:
        tensor: `[q]`.
        link: `[q]`; in a relay always 0, which is then both.
        stages: `[q, 5]`, what that costs each stage.
    """

    tensor: Indices
    link: Indices
    stages: Floats


@dataclass(frozen=True, slots=True)
class Terms:
    """The numbers of one case, for n nodes, m tensors, e uses of a tensor by a node and q crossings.

    Costs are weighted by the share of samples that get there.

    Attributes:
        kind: where the placement ends.
        exits: on the device and on the edge.
        slowest: the cost is the largest of the five stages (throughput) instead of their sum.
        allowed: `[n, 3]`, which labels a node may have.
        work: `[n, 3, 3]`, what a node with a label (middle axis) costs on each tier (last axis).
        back: `[m, 2]`, what an answer costs each link on its way back.
        crossings: what going up costs.
        constant: `[5]`, what every placement of this case pays each stage: heads, headers, round trips.
        forced: `[m]`, which tensors cross the first link as soon as the device makes them.
        producer: `[m]`, index of the node that makes a tensor; -1 for an input.
        uses: `[e, 2]`, (tensor, consuming node).
        edges: `[<= e, 2]`, (producing node, consuming node).
        answers: indices of the tensors that a node makes and none consumes.
        memory: `[n, 3, 3]`, bytes, like `work`.
        caps: `[3]`, bytes left beside the heads; infinite without a cap.
    """

    kind: Kind
    exits: Exits
    slowest: bool
    allowed: Flags
    work: Floats
    back: Floats
    crossings: Crossings
    constant: Floats
    forced: Flags
    producer: Indices
    uses: Indices
    edges: Indices
    answers: Indices
    memory: Floats
    caps: Floats

    @property
    def floor(self) -> float:
        """No placement of this case costs less; infinite: there is none."""
        per_label = np.where(self.allowed, self.work.sum(axis=2), np.inf).min(axis=1)
        if not np.isfinite(per_label).all() or (self.caps < 0).any():
            return float("inf")
        return float(self.constant.max() if self.slowest else self.constant.sum() + per_label.sum())

    @property
    def ceiling(self) -> float:
        """No placement of this case costs more."""
        most = self.work.max(axis=1).sum() + self.back.sum() + self.crossings.stages.sum() + self.constant.sum()
        return float(most)

    def held(self, tiers: Indices) -> Floats:
        """Return the bytes of memory that the nodes of each tier hold, `[3]`."""
        held: Floats = self.memory[np.arange(len(tiers)), tiers].sum(axis=0)
        return held


@dataclass(frozen=True, slots=True)
class Found:
    """What a solver found of one case.

    Attributes:
        tiers: `[n]`, the label of each node; None: nothing was found.
        bound: no placement of the case costs less; infinite: there is none.
    """

    tiers: Indices | None
    bound: float


def terms_of(problem: Priced, sender: Sender, kind: Kind, exits: Exits) -> Terms:
    """Return the numbers of the placements that end as `kind` says, with `exits`."""
    arrays, goal = problem.arrays, problem.goal
    shares = np.array(arrays.shares(exits))
    links = [0] if kind == "edge" else [0, 1]
    constant = np.zeros(5)
    constant[list(TIER_STAGE)] = heads_of(arrays, goal.head, exits)
    for link in links:
        constant[LINK_STAGE[link]] += shares[link] * (goal.message[link] + goal.once[link])
    allowed = arrays.allowed(exits)
    if kind != "cloud":
        allowed[:, {"edge": 2, "relay": 1}[kind]] = False
    memory, head_memory = memory_of(arrays, exits)
    b = exits[1]
    return Terms(
        kind=kind,
        exits=exits,
        slowest=goal.slowest,
        allowed=allowed,
        work=work_of(arrays, goal.node, exits),
        back=arrays.size[:, None] * goal.per_byte * shares,
        crossings=_crossings(problem, sender, kind, shares),
        constant=constant,
        forced=np.zeros(len(arrays.producer), np.bool_) if b is None else arrays.heads.reads[b],
        producer=arrays.producer,
        uses=arrays.uses,
        edges=arrays.edges,
        answers=arrays.answers,
        memory=memory,
        caps=arrays.caps - head_memory,
    )


def _crossings(problem: Priced, sender: Sender, kind: Kind, shares: Floats) -> Crossings:
    """The ways: all for throughput, else the cheapest of each tensor."""
    arrays, goal = problem.arrays, problem.goal
    tensors, on_links, stages = [], [], []
    for link in (0, 1) if kind == "cloud" else (0,):
        cheapest = sender.relay if kind == "relay" else sender.links[link]
        ways = np.arange(len(arrays.ways)) if goal.slowest else cheapest.way[cheapest.way >= 0]
        costs = np.zeros((len(ways), 5))
        receiver = 2 if kind == "relay" else link + 1
        costs[:, TIER_STAGE[link]] = goal.encode[ways, link]
        costs[:, TIER_STAGE[receiver]] = goal.decode[ways, receiver]
        for crossed in (0, 1) if kind == "relay" else (link,):
            costs[:, LINK_STAGE[crossed]] = goal.per_byte[crossed] * arrays.way_bytes[ways]
        tensors.append(arrays.way_tensor[ways])
        on_links.append(np.full(len(ways), link, np.intp))
        stages.append(shares[link] * costs)
    return Crossings(np.concatenate(tensors), np.concatenate(on_links), np.concatenate(stages))
