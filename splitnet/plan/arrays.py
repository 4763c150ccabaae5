"""A cost table as arrays: what depends on the graph alone, not on the objective."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import InvalidArgumentError
from splitnet.plan.ancestors import nodes_before, pairs_of
from splitnet.plan.parts import CodecCost
from splitnet.plan.placement import ExitNames
from splitnet.plan.table import CostTable

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]

#: (exit on the device, exit on the edge), by index; None: none there.
Exits = tuple[int | None, int | None]
NO_EXITS: Exits = (None, None)


@dataclass(frozen=True, slots=True)
class Heads:
    """The exits.

    Attributes:
        names: `[x]`.
        before: `[x, n]`, which nodes an exit depends on.
        reads: `[x, m]`, which tensors it reads.
        able: `[x, 3]`, which tiers can run its head.
        memory: `[x]`, bytes.
        pairs: (device, edge) that may be used together.
        survival: the share of samples past one exit or two.
    """

    names: tuple[str, ...]
    before: Flags
    reads: Flags
    able: Flags
    memory: Floats
    pairs: frozenset[tuple[int, int]]
    survival: Mapping[frozenset[int], float]

    def names_of(self, exits: Exits) -> ExitNames:
        """Return what `exits` are called."""
        a, b = exits
        return (None if a is None else self.names[a], None if b is None else self.names[b])


@dataclass(frozen=True, slots=True)
class Arrays:
    """The graph of n nodes, m tensors, w ways to send them and e uses of a tensor by a node.

    Attributes:
        table: where it is all from.
        nodes: `[n]`, names.
        rank: `[n]`, position of each node in a topological order, that of the table where it is one.
        able: `[n, 3]`, which tiers can run a node.
        pinned: `[n]`, which nodes make or read a tensor that stays on the device.
        memory: `[n]`, bytes.
        caps: `[3]`, bytes; infinite without a cap.
        producer: `[m]`, index of the node that makes a tensor; -1 for an input.
        size: `[m]`, bytes of a tensor on its way back.
        uses: `[e, 2]`, (tensor, consuming node).
        answers: indices of the tensors that a node makes and none consumes.
        ways: `[w]`, by tensor; none of a tensor that stays on the device.
        way_tensor: `[w]`, whose.
        way_bytes: `[w]`.
        heads: the exits.
    """

    table: CostTable
    nodes: tuple[str, ...]
    rank: Indices
    able: Flags
    pinned: Flags
    memory: Floats
    caps: Floats
    producer: Indices
    size: Floats
    uses: Indices
    answers: Indices
    ways: tuple[CodecCost, ...]
    way_tensor: Indices
    way_bytes: Floats
    heads: Heads

    @property
    def edges(self) -> Indices:
        """`[<= e, 2]`: (producing node, consuming node) of every use of a tensor that is no input."""
        made = self.producer[self.uses[:, 0]]
        return np.stack((made, self.uses[:, 1]), axis=1)[made >= 0]

    def shares(self, exits: Exits) -> tuple[float, float]:
        """Return the share of samples that cross each link: those past the device's exit, and past both."""
        a, b = exits
        past_a = 1.0 if a is None else self.heads.survival[frozenset({a})]
        both = frozenset(index for index in exits if index is not None)
        return past_a, past_a if b is None else self.heads.survival[both]

    def present(self, exits: Exits) -> Flags:
        """Return `[n, 3, 3]`: which tiers (last axis) compute a node that has a label (middle axis)."""
        present: Flags = np.zeros((len(self.nodes), 3, 3), np.bool_)
        present[:, range(3), range(3)] = True
        a, b = exits
        if a is not None:
            present[self.heads.before[a], :, 0] = True
        if b is not None:
            present[self.heads.before[b], 2, 1] = True
        return present

    def allowed(self, exits: Exits) -> Flags:
        """Return `[n, 3]`: which labels a node may have, tiers that cannot run it and what stays considered."""
        possible = ~self.present(exits) | self.able[:, None, :]
        allowed: Flags = np.asarray(possible.all(axis=2))
        allowed[self.pinned, 1:] = False
        b = exits[1]
        if b is not None:
            stuck = np.flatnonzero(self.heads.reads[b] & ~self.sendable)
            makers = self.producer[stuck]
            allowed[makers[makers >= 0], 0] = False
        return allowed

    @property
    def sendable(self) -> Flags:
        """`[m]`: which tensors can cross a link upwards."""
        return np.bincount(self.way_tensor, minlength=len(self.producer)) > 0

    def is_usable(self, exits: Exits) -> bool:
        """Whether the tiers can run these heads, and the edge can get the inputs that its head reads."""
        a, b = exits
        if a is not None and not self.heads.able[a, 0]:
            return False
        if b is None:
            return True
        stuck_inputs = self.heads.reads[b] & ~self.sendable & (self.producer < 0)
        return bool(self.heads.able[b, 1]) and not stuck_inputs.any()

    def device_exits(self) -> list[int | None]:
        """Return what may be attached to the device of a placement that leaves it."""
        some: list[int | None] = list(range(len(self.heads.names)))
        none: list[int | None] = [] if self.table.device_must_exit else [None]
        return [a for a in (*none, *some) if self.is_usable((a, None))]

    def edge_exits(self, a: int | None) -> list[int | None]:
        """Return what may be attached to the edge together with exit `a` on the device."""
        some = [b for b in range(len(self.heads.names)) if a is None or (a, b) in self.heads.pairs]
        return [None, *(b for b in some if self.is_usable((a, b)))]


def arrays_of(table: CostTable) -> Arrays:
    """Return the arrays of `table`."""
    index = {node.id: position for position, node in enumerate(table.nodes)}
    uses = [(n, index[name]) for n, tensor in enumerate(table.tensors) for name in tensor.consumers]
    producer = [-1 if tensor.producer is None else index[tensor.producer] for tensor in table.tensors]
    made = [n for n, tensor in enumerate(table.tensors) if tensor.producer is not None and not tensor.consumers]
    kept = set(table.keep_on_device)
    ways = [(n, way) for n, tensor in enumerate(table.tensors) if tensor.id not in kept for way in tensor.ways]
    return Arrays(
        table=table,
        nodes=tuple(index),
        rank=_ranks(
            len(table.nodes), [(producer[tensor], node) for tensor, node in uses if producer[tensor] >= 0]
        ),
        able=_able([node.cost_ms for node in table.nodes]),
        pinned=_pinned(table, index),
        memory=np.array([node.memory_bytes for node in table.nodes], np.float64),
        caps=np.array([np.inf if cap is None else cap for cap in table.memory_bytes]),
        producer=np.array(producer, np.intp),
        size=np.array([tensor.bytes for tensor in table.tensors], np.float64),
        uses=np.array(uses, np.intp).reshape(-1, 2),
        answers=np.array(made, np.intp),
        ways=tuple(way for _, way in ways),
        way_tensor=np.array([n for n, _ in ways], np.intp),
        way_bytes=np.array([way.bytes for _, way in ways], np.float64),
        heads=_heads(table, index),
    )


def exits_named(heads: Heads, names: Sequence[str | None]) -> Exits:
    """Return the indices of the exits called `names`, on the device and on the edge.

    Raises:
        InvalidArgumentError: one is not there.
    """
    for name in names:
        if name is not None and name not in heads.names:
            raise InvalidArgumentError(f"exits: there is no exit {name!r}, only {list(heads.names)}")
    a, b = (None if name is None else heads.names.index(name) for name in names)
    return a, b


def _able(cost_ms: Sequence[tuple[float | None, ...]]) -> Flags:
    able: Flags = np.array([[ms is not None for ms in costs] for costs in cost_ms], np.bool_).reshape(-1, 3)
    return able


def _pinned(table: CostTable, index: Mapping[str, int]) -> Flags:
    pinned = np.zeros(len(table.nodes), np.bool_)
    kept = set(table.keep_on_device)
    for tensor in table.tensors:
        if tensor.id in kept:
            names = [*tensor.consumers, *([tensor.producer] if tensor.producer is not None else [])]
            pinned[[index[name] for name in names]] = True
    return pinned


def _heads(table: CostTable, index: Mapping[str, int]) -> Heads:
    before = nodes_before(table.exits, table.tensors)
    number = {entry.id: position for position, entry in enumerate(table.exits)}
    tensor = {entry.id: position for position, entry in enumerate(table.tensors)}
    return Heads(
        names=tuple(number),
        before=_flags([[index[name] for name in names] for names in before], len(index)),
        reads=_flags([[tensor[name] for name in entry.reads] for entry in table.exits], len(tensor)),
        able=_able([entry.cost_ms for entry in table.exits]),
        memory=np.array([entry.memory_bytes for entry in table.exits], np.float64),
        pairs=frozenset(pairs_of(before)),
        survival={frozenset(number[name] for name in entry.exits): entry.share for entry in table.survival},
    )


def _flags(members: Sequence[Sequence[int]], width: int) -> Flags:
    flags = np.zeros((len(members), width), np.bool_)
    for row, some in zip(flags, members, strict=True):
        row[list(some)] = True
    return flags


def _ranks(count: int, edges: Iterable[tuple[int, int]]) -> Indices:
    """Number the nodes so that each comes after those that feed it, else in the order given."""
    above: list[list[int]] = [[] for _ in range(count)]
    waits = [0] * count
    for below, node in edges:
        above[below].append(node)
        waits[node] += 1
    ready = [node for node in range(count) if not waits[node]]
    heapify(ready)
    ranks = np.empty(count, np.intp)
    for position in range(count):
        node = heappop(ready)
        ranks[node] = position
        for one in above[node]:
            waits[one] -= 1
            if not waits[one]:
                heappush(ready, one)
    return ranks
