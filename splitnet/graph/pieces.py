"""Pieces: a model as consecutive parts with few weights each, to be opened one after the other.

Unlike a segment, a piece shares a process and a batch with the others: tensors derived from shapes cross like any
other, and nothing is rebuilt. Constant nodes belong to every piece that reads what they make.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import onnx_ir as ir

from splitnet.graph.classify import NodeClass, classify_values
from splitnet.graph.observe import is_observable, with_every_output
from splitnet.graph.shapes import data_type
from splitnet.graph.values import inner_nodes, name_of, reads, subgraphs, value_table


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive nodes of a model.

    Attributes:
        nodes: names of its nodes; of a part without those constant ones that it needs.
        takes: names of what it reads of the model's inputs and of the pieces before.
        makes: names of what it makes that pieces after it read, or that the model answers.
        observable: names of all data tensors that it makes and that can be looked at.
    """

    nodes: tuple[str, ...]
    takes: tuple[str, ...]
    makes: tuple[str, ...]
    observable: frozenset[str]


def whole_piece(model: ir.Model) -> Piece:
    """Return the piece that is the whole of `model`."""
    return Piece(
        tuple(map(name_of, model.graph)),
        tuple(map(name_of, model.graph.inputs)),
        tuple(map(name_of, model.graph.outputs)),
        observable(model),
    )


def cut_into_pieces(model: ir.Model, piece_bytes: int) -> tuple[Piece, ...]:
    """Cut `model` into as few pieces of at most `piece_bytes` of weights as its order gives.

    A node with more is a piece of its own. No cut goes through what is not a tensor of numpy's types (sequences,
    bfloat16), so that what crosses can always be carried.

    Args:
        model: in topological order, as `load_model` and `extract_segment` return it.
        piece_bytes: the most weights of a piece, bytes.
    """
    order = _Order(model)
    ends = [0, *order.ends(piece_bytes)]
    return tuple(order.piece(start, end) for start, end in pairwise(ends))


class _Order:
    """A model's nodes in order, without constant ones, and what crosses between them."""

    def __init__(self, model: ir.Model) -> None:
        classes = classify_values(model)
        self._constant = {node for node, found in classes.nodes.items() if found is NodeClass.CONSTANT}
        self._nodes = [node for node in model.graph if node not in self._constant]
        self._outputs = list(model.graph.outputs)
        self._observable = observable(model)
        ranks = {node: rank for rank, node in enumerate(self._nodes)}
        self._made_at = {value: ranks[node] for node in self._nodes for value in node.outputs}
        self._last_read = {value: rank for rank, node in enumerate(self._nodes) for value in self._carried(node)}
        self._last_read |= dict.fromkeys(self._outputs, len(self._nodes))

    def _carried(self, node: ir.Node) -> Iterator[ir.Value]:
        """Yield what `node` reads that is neither constant nor made by a constant node."""
        for value in reads(node):
            if value.is_graph_input() or value in self._made_at:
                yield value

    def ends(self, piece_bytes: int) -> Iterator[int]:
        """Yield where pieces end: the rank after each one's last node."""
        weights = [self._weights(node) for node in self._nodes]
        closed = self._closed()
        start, last = 0, len(self._nodes)
        while start < last:
            end = _furthest(weights[start:], piece_bytes, [rank in closed for rank in range(start + 1, last)])
            start += end
            yield start

    def _closed(self) -> set[int]:
        """Ranks before which nothing may be cut: something crosses there that cannot be carried."""
        return {
            rank
            for value, made in self._made_at.items()
            if not is_observable(value)
            for rank in range(made + 1, self._last_read.get(value, made) + 1)
        }

    def _weights(self, node: ir.Node) -> dict[ir.Value, int]:
        """The initialisers that `node` needs with their sizes, through constant nodes and in subgraphs too."""
        found: dict[ir.Value, int] = {}
        waiting = [*reads(node), *_inner_weights(node)]
        seen: set[ir.Node] = set()
        while waiting:
            value = waiting.pop()
            producer = value.producer()
            if value.const_value is not None and value.is_initializer():
                found[value] = value.const_value.nbytes
            elif producer in self._constant and producer not in seen:
                seen.add(producer)
                waiting.extend([*reads(producer), *_inner_weights(producer)])
        return found

    def piece(self, start: int, end: int) -> Piece:
        """Return the piece of the nodes from rank `start` up to before `end`."""
        nodes = self._nodes[start:end]
        own = dict.fromkeys(value for node in nodes for value in node.outputs)
        taken = dict.fromkeys(value for node in nodes for value in self._carried(node) if value not in own)
        made = [value for value in own if self._last_read.get(value, -1) >= end]
        if end == len(self._nodes):
            made += [value for value in self._outputs if self._is_constant_answer(value)]
        return Piece(
            tuple(map(name_of, nodes)),
            tuple(map(name_of, taken)),
            tuple(map(name_of, made)),
            frozenset(name for value in own if (name := value.name) in self._observable and name is not None),
        )

    def _is_constant_answer(self, value: ir.Value) -> bool:
        return value not in self._made_at and not value.is_graph_input()


def _furthest(weights: Sequence[Mapping[ir.Value, int]], most: int, closed: Sequence[bool]) -> int:
    """Return how many of the nodes fit into a piece that begins with the first of them, one at least."""
    held: dict[ir.Value, int] = {}
    best, size = 0, 0
    for count, needed in enumerate(weights, start=1):
        more = sum(nbytes for value, nbytes in needed.items() if value not in held)
        size += more
        if more and size > most and best:
            return best
        held.update(needed)
        if count == len(weights) or not closed[count - 1]:
            best = count
    return best


def _inner_weights(node: ir.Node) -> Iterator[ir.Value]:
    for owner in (node, *inner_nodes(node)):
        for graph in subgraphs(owner):
            yield from graph.initializers.values()


def observable(model: ir.Model) -> frozenset[str]:
    """Return the names of all top-level data tensors that onnxruntime can hand out, outputs included."""
    return frozenset(value.name for value in with_every_output(model).graph.outputs if value.name)


def with_outputs(model: ir.Model, names: Collection[str]) -> ir.Model:
    """Return a copy of `model` that has the data tensors `names` as further outputs, without type and shape."""
    copy = model.clone()
    there = {value.name for value in copy.graph.outputs}
    for name, value in value_table(copy).items():
        if name in names and name not in there:
            value.type, value.shape = None, None
            copy.graph.outputs.append(value)
    return copy


def piece_model(
    model: ir.Model,
    piece: Piece,
    dtypes: Mapping[str, str],
    *,
    outputs: Sequence[str],
    keep_shapes: bool,
) -> ir.Model:
    """Return a piece as a model of its own, whose weights are shared with `model`.

    Args:
        model: that the piece was cut from.
        piece: the piece.
        dtypes: numpy's name of the element type of each tensor that it takes.
        outputs: names of what it shall answer, all of them made in it.
        keep_shapes: whether shapes on record hold; otherwise what it takes may have any.
    """
    table = value_table(model)
    graph = ir.convenience.extract(
        model.graph, [table[name] for name in piece.takes], [table[name] for name in outputs]
    )
    for value in graph.inputs:
        value.type = ir.TensorType(data_type(dtypes[name_of(value)]))
        value.shape = value.shape if keep_shapes else None
    for value in graph.outputs:
        value.type, value.shape = None, None
    functions = [function.clone() for function in model.functions.values()]
    return ir.Model(graph, ir_version=model.ir_version, functions=functions)
