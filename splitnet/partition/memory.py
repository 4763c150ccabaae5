"""What nodes hold of a machine's memory: their weights, and the activations that live beside them."""

from collections.abc import Iterable, Iterator

import onnx_ir as ir

from splitnet.graph import NodeClass, TrunkFlow, axis_fits, classify
from splitnet.graph.values import reads


def weight_bytes(model: ir.Model, nodes: Iterable[str]) -> dict[str, int]:
    """Return the bytes of the weights that each of the data nodes `nodes` reads, through constant nodes too.

    A weight that several nodes read counts for each of them, since they may end up on different tiers.
    """
    classes = classify(model)
    by_name = {node.name: node for node in model.graph}
    return {name: sum(_sizes(by_name[name], classes)) for name in nodes}


def _sizes(node: ir.Node, classes: dict[str, NodeClass]) -> Iterator[int]:
    seen: set[ir.Value] = set()
    waiting = list(reads(node))
    while waiting:
        value = waiting.pop()
        if value in seen:
            continue
        seen.add(value)
        producer = value.producer()
        if value.const_value is not None and value.is_initializer():
            yield value.const_value.nbytes
        elif producer is not None and producer.name and classes.get(producer.name) is NodeClass.CONSTANT:
            waiting.extend(reads(producer))


def peak_activation_bytes(model: ir.Model, flow: TrunkFlow) -> int:
    """Return the most that activations of one sample take at a time, when nodes run in the order of `flow`.

    A tensor lives from the node that makes it to the last that reads it; one whose shape is not on record
    counts as nothing. A runtime that plans its arena well needs about as much.
    """
    sizes = {value.name: _nbytes(value) for node in model.graph for value in node.outputs if value.name}
    sizes |= {value.name: _nbytes(value) for value in model.graph.inputs if value.name}
    ranks = {name: rank for rank, name in enumerate(flow.nodes)}
    change = [0] * (len(flow.nodes) + 1)
    for tensor in flow.tensors:
        born = ranks[tensor.producer] if tensor.producer is not None else 0
        last = len(flow.nodes) - 1 if tensor.is_output else max(ranks[name] for name in tensor.consumers)
        change[born] += sizes.get(tensor.name, 0)
        change[last + 1] -= sizes.get(tensor.name, 0)
    peak = live = 0
    for step in change:
        live += step
        peak = max(peak, live)
    return peak


def _nbytes(value: ir.Value) -> int:
    fits = axis_fits(value)
    if fits is None or value.dtype is None or any(fit is None for fit in fits):
        return 0
    count = 1
    for fit in fits:
        if fit is not None:
            count *= fit.per_sample + fit.constant
    return int(count * value.dtype.itemsize)
