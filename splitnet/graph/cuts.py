"""Cuts: down-sets of a model's data nodes, the chain of them that is enumerated, and cuts made by hand.

For the trunk (the data ancestors of the outputs) a cut and its boundary determine one another: every node
below reaches the outputs, so it reaches a boundary tensor, so the nodes below are exactly the boundary's
ancestors. A tensor that separates the trunk alone is therefore a prefix of *every* topological order: any
node placed before its producer reaches the outputs through it. Hence one sweep over the order of the file
finds all single-tensor cuts, and its other prefixes are the multi-tensor cuts between them.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice

import onnx_ir as ir

from splitnet.errors import InvalidArgumentError, ModelError
from splitnet.graph.dataflow import DataFlow
from splitnet.graph.values import name_of


class NodePrefix(AbstractSet[str]):
    """The first `length` names of an order that many cuts share: a frozenset without a copy for each cut.

    Iterates in topological order. Set operators give frozensets.
    """

    __slots__ = ("_length", "_ranks")

    def __init__(self, ranks: dict[str, int], length: int) -> None:
        """`ranks` maps every name to its place in the order, in that order; it is shared, not copied."""
        self._ranks = ranks
        self._length = length

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._ranks.get(name, self._length) < self._length

    def __iter__(self) -> Iterator[str]:
        return islice(self._ranks, self._length)

    def __len__(self) -> int:
        return self._length

    def __le__(self, other: AbstractSet[object]) -> bool:
        if isinstance(other, NodePrefix) and other._ranks is self._ranks:
            return self._length <= other._length
        return super().__le__(other)

    def __hash__(self) -> int:
        return hash(frozenset(self))

    def __repr__(self) -> str:
        return f"NodePrefix({list(self)!r})"

    @classmethod
    def _from_iterable(cls, names: Iterator[str]) -> frozenset[str]:  # type: ignore[override]  # what & and - make
        return frozenset(names)


@dataclass(frozen=True, slots=True)
class Cut:
    """A down-set of the trunk's data nodes, and what crosses from it to the rest; equal by its boundary.

    Attributes:
        position: how many trunk nodes are below; in an enumerated chain also the cut's index.
        tensors: the boundary, in topological order: data tensors made below (or inputs) that are read above.
            An output made below crosses too, to be passed on; only the last cut's boundary is empty.
        nodes: names of the data nodes below the cut.
    """

    position: int
    tensors: tuple[str, ...]
    nodes: AbstractSet[str] = field(compare=False, repr=False)


class _Trunk:
    """The data ancestors of the primary outputs, in the order that prefixes are taken of."""

    def __init__(self, model: ir.Model, outputs: Sequence[str]) -> None:
        if not outputs:
            raise InvalidArgumentError("no outputs were named; a cut needs at least one output to cut below")
        self.flow = DataFlow(model)
        self.ends = self.flow.values(outputs)
        self.order = _inputs_first(self.flow, self.flow.in_order(self.flow.ancestors(self.ends)))
        if not self.order:
            raise ModelError(
                f"outputs {sorted(outputs)} are computed from constants and shapes alone; there is nothing to cut"
            )
        self.ranks = {name_of(node): rank for rank, node in enumerate(self.order)}
        values = [*model.graph.inputs, *(value for node in self.order for value in node.outputs)]
        self._places = {value: place for place, value in enumerate(values)}

    def boundary(self, below: Collection[ir.Node]) -> list[ir.Value]:
        """Return the tensors that cross from the down-set `below`, in topological order."""
        if len(below) == len(self.order):
            return []
        above = [node for node in self.order if node not in below]
        return sorted(self.flow.crossing(below, above, self.ends), key=self._places.__getitem__)

    def cut(self, below: Collection[ir.Node]) -> Cut:
        """Return the cut whose nodes are the down-set `below`."""
        names = [name_of(node) for node in self.order if node in below]
        ranks = {name: rank for rank, name in enumerate(names)}
        tensors = tuple(name_of(value) for value in self.boundary(below))
        return Cut(position=len(names), tensors=tensors, nodes=NodePrefix(ranks, len(names)))


def _inputs_first(flow: DataFlow, nodes: list[ir.Node]) -> list[ir.Node]:
    """Move each node that no input reaches (RandomNormal) to just before its first reader.

    Left in place it would cross every cut between, and hide single-tensor ones. Most models have none.
    """
    reached: set[ir.Node] = set()
    for node in nodes:
        if any(value.producer() is None or value.producer() in reached for value in flow.reads(node)):
            reached.add(node)
    if len(reached) == len(nodes):
        return nodes
    placed: dict[ir.Node, None] = {}
    for node in nodes:
        if node in reached:
            sources = [value for value in flow.reads(node) if value.producer() not in reached]
            placed.update(dict.fromkeys([*flow.in_order(flow.ancestors(sources)), node]))
    return list(dict.fromkeys([*placed, *nodes]))


def enumerate_cuts(model: ir.Model, outputs: Sequence[str]) -> tuple[Cut, ...]:
    """Return a nested chain of cuts, one trunk node more each, with every single-tensor cut among them.

    Args:
        model: a model as `load_model` returns it.
        outputs: names of the primary outputs; for a model with early exits those of the last exit.

    Returns:
        From position 0 (the boundary is the inputs that the trunk reads) to the whole trunk (empty boundary).

    Raises:
        NotFoundError: an output is unknown.
        ModelError: the outputs do not depend on the inputs' values.
    """
    trunk = _Trunk(model, outputs)
    readers = Counter(value for node in trunk.order for value in trunk.flow.reads(node))
    readers.update(value for value in set(trunk.ends) if trunk.flow.is_data(value))
    crossing = dict.fromkeys(value for value in model.graph.inputs if readers[value])
    cuts = [_chain_cut(trunk, 0, crossing)]
    for position, node in enumerate(trunk.order, start=1):
        for value in trunk.flow.reads(node):
            readers[value] -= 1
            if not readers[value]:
                del crossing[value]
        crossing.update(dict.fromkeys(value for value in node.outputs if readers[value]))
        cuts.append(_chain_cut(trunk, position, crossing if position < len(trunk.order) else {}))
    return tuple(cuts)


def _chain_cut(trunk: _Trunk, position: int, crossing: Collection[ir.Value]) -> Cut:
    return Cut(position, tuple(map(name_of, crossing)), NodePrefix(trunk.ranks, position))


def cut_at(model: ir.Model, outputs: Sequence[str], tensors: Sequence[str]) -> Cut:
    """Return the cut whose boundary is exactly `tensors`, in any order; none at all means the whole trunk.

    Args:
        model: a model as `load_model` returns it.
        outputs: names of the primary outputs.
        tensors: names of the data tensors that shall cross.

    Raises:
        NotFoundError: a tensor is unknown; the message offers near names.
        ModelError: the tensors do not separate the outputs from the inputs; the message names what leaks past
            them, or does not cross.
    """
    trunk = _Trunk(model, outputs)
    wanted = trunk.flow.values(tensors)
    if not wanted:
        return trunk.cut(trunk.order)
    for value in wanted:
        _refuse_off_trunk(trunk, value, outputs)
    below = trunk.flow.ancestors(wanted)
    boundary = trunk.boundary(below)
    if leaking := [value for value in boundary if value not in wanted]:
        raise ModelError(_leak_message(trunk, tensors, leaking, below))
    if idle := [name_of(value) for value in wanted if value not in boundary]:
        instead = (
            f"; cut at {[name_of(value) for value in boundary]}" if boundary else ", nothing is left above it"
        )
        raise ModelError(f"tensors {idle} do not cross the cut {list(tensors)}: nothing above reads them{instead}")
    return trunk.cut(below)


def _refuse_off_trunk(trunk: _Trunk, value: ir.Value, outputs: Sequence[str]) -> None:
    if not trunk.flow.is_data(value):
        raise ModelError(
            f"tensor {value.name!r} is constant or derived from shapes: it is rebuilt above and never crosses"
        )
    producer = value.producer()
    if producer is not None and producer.name not in trunk.ranks:
        raise ModelError(f"tensor {value.name!r} is not on the way to {list(outputs)}; cut at a tensor that is")


def _leak_message(
    trunk: _Trunk, tensors: Sequence[str], leaking: list[ir.Value], below: Collection[ir.Node]
) -> str:
    lines = []
    for value in leaking[:5]:
        producer = value.producer()
        origin = "an input" if producer is None else f"made by {producer.name!r} below"
        reader = next(
            (node for node in trunk.order if node not in below and value in trunk.flow.reads(node)), None
        )
        lines.append(f"{value.name!r} ({origin}, {f'read by {reader.name!r} above' if reader else 'an output'})")
    more = f" and {len(leaking) - 5} more" if len(leaking) > 5 else ""
    return (
        f"tensors {list(tensors)} do not separate the model: past them leak {', '.join(lines)}{more}; "
        f"add {[name_of(value) for value in leaking]} to the cut, or cut elsewhere"
    )


def is_below(lower: Cut, upper: Cut) -> bool:
    """Whether every node below `lower` is below `upper` as well, so that a segment lies between them."""
    return lower.nodes <= upper.nodes


def nodes_between(lower: Cut, upper: Cut) -> tuple[str, ...]:
    """Return the data nodes of the segment between two nested cuts, in topological order."""
    return tuple(name for name in upper.nodes if name not in lower.nodes)
