"""Codecs in segments: nodes behind what makes a boundary tensor, and before what takes it."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import onnx_ir as ir

from splitnet.codec.nodes import Nodes
from splitnet.codec.registry import FAMILIES
from splitnet.codec.tensor_codec import TensorCodec
from splitnet.errors import ModelError
from splitnet.tensors import TensorSpec

# The oldest opset that a model may have; the nodes mean the same in every later one.
_OPSET = 13
_IR_VERSION = 8


def append_encoder(model: ir.Model, codec: TensorCodec) -> None:
    """Add the codec's nodes to the segment that makes the tensor, and its wires to the segment's outputs.

    Raises:
        ModelError: the segment does not hold the tensor.
    """
    source = _value(model, codec.tensor.name)
    if codec.name == "none":
        if source not in model.graph.outputs:
            model.graph.outputs.append(source)
        return
    nodes = Nodes(f"{codec.tensor.name}.{codec.name}.encode")
    made = FAMILIES[codec.name].encode(nodes, codec.subject, source)
    _register(model, nodes)
    model.graph.extend(nodes.made)
    for value, wire in zip(made, codec.wires, strict=True):
        _describe(value, wire)
        model.graph.outputs.append(value)


def prepend_decoder(model: ir.Model, codec: TensorCodec) -> None:
    """Make the segment take the codec's wires instead of the tensor, in its place, and decode them first.

    Raises:
        ModelError: the tensor is not an input of the segment.
    """
    if codec.name == "none":
        return
    names = [value.name for value in model.graph.inputs]
    if codec.tensor.name not in names:
        raise ModelError(f"tensor {codec.tensor.name!r} is not an input of the segment; inputs are {names}")
    index = names.index(codec.tensor.name)
    tensor = model.graph.inputs[index]
    wires = [_described(wire) for wire in codec.wires]
    nodes = Nodes(f"{codec.tensor.name}.{codec.name}.decode")
    made = FAMILIES[codec.name].decode(nodes, codec.subject, wires)
    model.graph.inputs[index : index + 1] = wires
    _register(model, nodes)
    _prepend(model.graph, nodes.made)
    tensor.replace_all_uses_with(made, replace_graph_outputs=True)
    # The decoded tensor keeps the name under which the rest of the segment knows it.
    _describe(made, codec.tensor)


def codec_model(codec: TensorCodec, direction: Literal["encode", "decode"], *, opset: int = _OPSET) -> ir.Model:
    """Return a model of the codec alone, from tensor to wires or back, to time it and to test it.

    Args:
        codec: of the tensor.
        direction: which side's nodes.
        opset: of the model; 13 or later.
    """
    taken = _described(codec.tensor)
    graph = ir.Graph([taken], [], nodes=[], opset_imports={"": opset}, name=f"{codec.name} {direction}")
    model = ir.Model(graph, ir_version=_IR_VERSION)
    if direction == "encode":
        append_encoder(model, codec)
        return model
    graph.outputs.append(taken)
    prepend_decoder(model, codec)
    return model


def _register(model: ir.Model, nodes: Nodes) -> None:
    for constant in nodes.constants:
        model.graph.register_initializer(constant)


def _prepend(graph: ir.Graph, nodes: Sequence[ir.Node]) -> None:
    if len(graph):
        graph.insert_before(graph[0], nodes)
    else:
        graph.extend(nodes)


def _value(model: ir.Model, name: str) -> ir.Value:
    values = ir.convenience.create_value_mapping(model.graph)
    if name not in values:
        raise ModelError(f"tensor {name!r} is not in the segment")
    return values[name]


def _described(spec: TensorSpec) -> ir.Value:
    value = ir.Value(name=spec.name)
    _describe(value, spec)
    return value


def _describe(value: ir.Value, spec: TensorSpec) -> None:
    if value.name != spec.name:
        value.name = spec.name
    value.dtype = ir.DataType.from_numpy(np.dtype(spec.dtype))
    value.shape = ir.Shape(spec.shape)
