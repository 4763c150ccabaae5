"""Reverse-mode differentiation of a graph: backward nodes are added to it, of ONNX's own operators."""

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from splitnet.codec.nodes import Nodes
from splitnet.errors import ModelError
from splitnet.learn.gradient.call import Backward, Call
from splitnet.learn.gradient.registry import BACKWARD

# Their results follow from sizes alone.
_SHAPES = frozenset({"Shape", "Size"})


def pull_back(
    graph: ir.Graph, seeds: Mapping[ir.Value, ir.Value], by: Sequence[ir.Value], *, prefix: str = "gradient"
) -> list[ir.Value]:
    """Add the nodes that compute the gradients of a loss, and return those gradients.

    Only what lies between `by` and the seeds is differentiated, in reverse topological order, each node by its
    operator's backward function (Griewank and Walther, "Evaluating derivatives", 2008, reverse mode).

    Args:
        graph: topologically ordered, with recorded shapes; changed in place. Sizes of spatial axes must be known,
            the batch may be open.
        seeds: for values of the graph, the gradient of the loss by them, in their shape; they may be in the graph
            or be computed by nodes at its end.
        by: the values whose gradients are wanted: inputs, initialisers or results of nodes.
        prefix: what the names of the new nodes begin with.

    Returns:
        For each of `by` its gradient, in its shape and type.

    Raises:
        ModelError: an operator on the way has no backward function, or is used in a way that has none (operator
            and node are named); or none of the seeds depends on one of `by`.
    """
    nodes, active = Nodes(prefix), _reached(graph, by)
    gradients = dict(seeds)
    opset = graph.opset_imports.get("", 0)
    for node in reversed(list(graph)):
        upstream = tuple(gradients.get(value) for value in node.outputs)
        wanted = frozenset(index for index, value in enumerate(node.inputs) if value in active)
        if not wanted or not any(gradient is not None for gradient in upstream):
            continue
        made = _backward_of(node)(Call(node, nodes, upstream, wanted, opset))
        for index, gradient in made.items():
            value = node.inputs[index]
            assert value is not None
            known = gradients.get(value)
            gradients[value] = gradient if known is None else nodes.add("Add", [known, gradient])
    if apart := [value.name for value in by if value not in gradients]:
        raise ModelError(f"the loss does not depend on {apart}; leave them out of what is trained")
    for constant in nodes.constants:
        graph.register_initializer(constant)
    graph.extend(nodes.made)
    return [gradients[value] for value in by]


def _reached(graph: ir.Graph, by: Sequence[ir.Value]) -> set[ir.Value]:
    """The values that depend on those of `by` otherwise than through their shapes."""
    active = set(by)
    for node in graph:
        if node.op_type not in _SHAPES and not active.isdisjoint(node.inputs):
            active.update(value for value in node.outputs if _may_be_float(value))
    return active


def _may_be_float(value: ir.Value) -> bool:
    return value.dtype is None or value.dtype.is_floating_point()


def _backward_of(node: ir.Node) -> Backward:
    if node.domain or node.op_type not in BACKWARD:
        operator = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
        raise ModelError(
            f"node {node.name!r}: operator {operator} has no backward form here, so what lies below it cannot be "
            "trained; train less, or export the model with other operators (docs/training.md lists them)"
        )
    return BACKWARD[node.op_type]
