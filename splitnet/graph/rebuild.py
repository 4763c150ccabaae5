"""Rebuild the result of Shape and Size nodes from the batch size of a segment's own input."""

from collections.abc import Sequence
from itertools import chain, count

import numpy as np
import onnx_ir as ir

from splitnet.errors import ModelError
from splitnet.graph.axes import AxisFit, axis_fits
from splitnet.graph.values import name_of
from splitnet.tensors import Array


def rebuild_shapes(graph: ir.Graph, lost: Sequence[ir.Value], *, kept: int) -> None:
    """Replace the inputs of `graph` from number `kept` on by what `lost` is of them in the source model.

    Sizes that do not depend on the batch become initialisers. The others are computed, as
    per_sample * batch + constant, from the batch axis of the first of the `kept` inputs that has one.

    Args:
        graph: an extracted graph, changed in place.
        lost: outputs of Shape and Size nodes in the source model; one further input of `graph` for each.
        kept: how many inputs of `graph` stay.

    Raises:
        ModelError: a size is not on record, depends on values, or no input that stays has a batch axis.
    """
    placeholders = graph.inputs[kept:]
    del graph.inputs[kept:]
    writer = _ShapeWriter(graph)
    for value, placeholder in zip(lost, placeholders, strict=True):
        rebuilt = writer.write(value)
        placeholder.replace_all_uses_with(rebuilt, replace_graph_outputs=True)
    graph.insert_before(graph[0], writer.nodes)


class _ShapeWriter:
    """Registers the initialisers, and collects the nodes, that compute shapes in one graph."""

    def __init__(self, graph: ir.Graph) -> None:
        self.nodes: list[ir.Node] = []
        self._graph = graph
        self._taken = set(ir.convenience.create_value_mapping(graph))
        self._batch: ir.Value | None = None

    def write(self, lost: ir.Value) -> ir.Value:
        """Return a new value of the graph, named like `lost`, that equals what its Shape or Size node gives."""
        node = lost.producer()
        source = node.inputs[0] if node is not None else None
        if node is None or source is None:
            raise ModelError(f"tensor {lost.name!r} is not the output of a Shape or Size node")
        fits = _known_fits(node, source)
        counts = np.array([(fit.per_sample, fit.constant) for fit in fits], np.int64).reshape(-1, 2)
        wants_size = node.op_type == "Size"
        if not counts[:, 0].any():
            sizes = counts[:, 1]
            return self._constant(name_of(lost), np.array(sizes.prod()) if wants_size else sizes)
        name = name_of(lost)
        scale = self._constant(self._fresh(f"{name}/per_sample"), counts[:, 0])
        offset = self._constant(self._fresh(f"{name}/constant"), counts[:, 1])
        scaled = self._node("Mul", [self._batch_size(name), scale], self._fresh(f"{name}/scaled"))
        sizes_name = self._fresh(f"{name}/sizes") if wants_size else name
        rebuilt = self._node("Add", [scaled, offset], sizes_name)
        return self._node("ReduceProd", [rebuilt], name, keepdims=0) if wants_size else rebuilt

    def _batch_size(self, wanted_by: str) -> ir.Value:
        """Return the number of samples, as a vector of one, made from an input on first use."""
        if self._batch is None:
            for value in self._graph.inputs:
                for axis, fit in enumerate(axis_fits(value) or ()):
                    if fit is not None and fit.is_batch:
                        return self._gather_batch(value, axis)
            raise ModelError(
                f"the segment needs {wanted_by!r}, which depends on the batch size, but none of its inputs "
                f"{[value.name for value in self._graph.inputs]} has a batch axis; cut elsewhere"
            )
        return self._batch

    def _gather_batch(self, source: ir.Value, axis: int) -> ir.Value:
        # Gather, not Shape's start and end: those came with opset 15.
        index = self._constant(self._fresh("splitnet/batch_axis"), np.array([axis]))
        shape = self._node("Shape", [source], self._fresh("splitnet/input_shape"))
        self._batch = self._node("Gather", [shape, index], self._fresh("splitnet/batch"), axis=0)
        return self._batch

    def _fresh(self, wish: str) -> str:
        name = next(name for name in chain([wish], (f"{wish}_{n}" for n in count(1))) if name not in self._taken)
        self._taken.add(name)
        return name

    def _constant(self, name: str, array: Array) -> ir.Value:
        tensor = ir.tensor(np.asarray(array, np.int64), name=name)
        value = ir.Value(
            name=name, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape), const_value=tensor
        )
        self._graph.register_initializer(value)
        return value

    def _node(self, operator: str, inputs: Sequence[ir.Value], output: str, **attributes: int) -> ir.Value:
        value = ir.Value(name=output, type=ir.TensorType(ir.DataType.INT64))
        attrs = [ir.AttrInt64(name, number) for name, number in attributes.items()]
        self.nodes.append(ir.Node("", operator, inputs, attrs, outputs=[value], name=f"{output}/{operator}"))
        return value


def _known_fits(node: ir.Node, source: ir.Value) -> list[AxisFit]:
    """Return the fits of the axes of `source` that the Shape or Size node `node` gives.

    Shape's start and end clamp and count from the back like a slice in Python (ONNX, Shape since 15).
    """
    fits = axis_fits(source)
    if fits is None:
        raise ModelError(
            f"the shape of {source.name!r} is not on record, and a segment needs it; call record_shapes"
        )
    start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", None)
    wanted = fits[start:end]
    known = [fit for fit in wanted if fit is not None]
    if len(known) != len(wanted):
        raise ModelError(
            f"the shape of {source.name!r} {source.shape} does not follow from the batch size, and {node.name!r} "
            "above the cut needs it; cut elsewhere"
        )
    return known
