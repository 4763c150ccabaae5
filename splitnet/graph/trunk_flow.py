"""The trunk as names alone: nodes, the tensors between them, and cuts given by the nodes below them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from splitnet.errors import ModelError
from splitnet.graph.trunk import Cut, Trunk
from splitnet.graph.values import name_of


@dataclass(frozen=True, slots=True)
class FlowTensor:
    """A data tensor of the trunk.

    Attributes:
        name: its name.
        producer: the trunk node that makes it; None for an input of the model.
        consumers: the trunk nodes that read it, in topological order.
        is_output: whether it is one of the primary outputs.
    """

    name: str
    producer: str | None
    consumers: tuple[str, ...]
    is_output: bool


@dataclass(frozen=True, slots=True)
class TrunkFlow:
    """The trunk's nodes in topological order, and the data tensors between them."""

    nodes: tuple[str, ...]
    tensors: tuple[FlowTensor, ...]


def trunk_flow(model: ir.Model, outputs: Sequence[str]) -> TrunkFlow:
    """Return the data nodes that `outputs` depend on, and every data tensor that they read or answer.

    Args:
        model: a model as `load_model` returns it.
        outputs: names of the primary outputs.

    Raises:
        NotFoundError: an output is unknown.
        ModelError: the outputs do not depend on the inputs' values.
    """
    trunk = Trunk(model, outputs)
    readers: dict[ir.Value, list[str]] = {}
    for node in trunk.order:
        for value in trunk.flow.reads(node):
            readers.setdefault(value, []).append(name_of(node))
    ends = {value for value in trunk.ends if trunk.flow.is_data(value)}
    made = [*model.graph.inputs, *(value for node in trunk.order for value in node.outputs)]
    tensors = tuple(
        FlowTensor(name_of(value), _producer(value), tuple(readers.get(value, ())), value in ends)
        for value in made
        if value in readers or value in ends
    )
    return TrunkFlow(tuple(map(name_of, trunk.order)), tensors)


def _producer(value: ir.Value) -> str | None:
    node = value.producer()
    return None if node is None else name_of(node)


def cut_below(model: ir.Model, outputs: Sequence[str], nodes: Collection[str]) -> Cut:
    """Return the cut whose nodes are the down-set `nodes` of the trunk.

    Raises:
        ModelError: `nodes` is no down-set of the trunk; the message names a node that is missing.
    """
    trunk = Trunk(model, outputs)
    if unknown := set(nodes) - trunk.ranks.keys():
        raise ModelError(f"node {min(unknown)!r} is not on the way to {list(outputs)}")
    below = {node for node in trunk.order if node.name in nodes}
    for node in below:
        for value in trunk.flow.reads(node):
            producer = value.producer()
            if producer is not None and producer not in below:
                raise ModelError(
                    f"node {node.name!r} is below the cut, but {producer.name!r}, which feeds it, is not"
                )
    return trunk.cut(below)


def head_reads(model: ir.Model, head_outputs: Sequence[str], trunk: Collection[str]) -> tuple[str, ...]:
    """Return the trunk's tensors, inputs among them, that an exit's head reads or answers, each once.

    Args:
        model: a model as `load_model` returns it.
        head_outputs: names of the exit's outputs.
        trunk: names of the trunk's nodes.
    """
    flow = Trunk(model, head_outputs).flow
    ends = flow.values(head_outputs)
    own = [node for node in flow.in_order(flow.ancestors(ends)) if node.name not in trunk]
    read = dict.fromkeys([*(value for node in own for value in flow.reads(node)), *ends])
    return tuple(
        name_of(value)
        for value in read
        if flow.is_data(value) and (value.producer() is None or _producer(value) in trunk)
    )
