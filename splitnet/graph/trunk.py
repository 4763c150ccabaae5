"""The trunk: the data nodes on the way to a model's own outputs, and what a down-set of them hands on."""

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


class Trunk:
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
