"""Boundary codecs: ONNX nodes that make the wire tensor of a boundary tensor, and the nodes that undo them.

`none` sends the tensor as it is; `f16` casts float32 to float16 (2 times smaller, relative error 2**-11);
`u8` is QuantizeLinear to uint8 with one scale and zero point for the tensor (4 times smaller), from its range
on calibration data. The nodes are part of the segments, so that every runtime and every server speaks them.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx_ir as ir

from splitnet.errors import InvalidArgumentError, ModelError
from splitnet.tensors import Array, TensorSpec

CodecName = Literal["none", "f16", "u8"]
CODECS: tuple[CodecName, ...] = ("none", "f16", "u8")

_FLOAT16_MAX = 65504.0


@dataclass(frozen=True, slots=True)
class ValueRange:
    """The smallest and the largest value that a tensor took on calibration data."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TensorCodec:
    """How one boundary tensor is sent.

    Attributes:
        name: the codec.
        tensor: the boundary tensor.
        value_range: its range, needed by `u8`.
    """

    name: CodecName
    tensor: TensorSpec
    value_range: ValueRange | None = None

    def __post_init__(self) -> None:
        if self.name == "u8" and self.value_range is None:
            raise InvalidArgumentError(
                f"tensor {self.tensor.name!r}: codec u8 needs its range; give --calibration data"
            )

    @property
    def wire(self) -> TensorSpec:
        """The tensor as it is sent."""
        if self.name == "none":
            return self.tensor
        dtype = {"f16": "float16", "u8": "uint8"}[self.name]
        return TensorSpec(f"{self.tensor.name}.{self.name}", dtype, self.tensor.shape)


def codec_for(name: CodecName, tensor: TensorSpec, value_range: ValueRange | None) -> TensorCodec:
    """Return codec `name` for `tensor`, or `none` where it is not float32 (already narrow, or exact)."""
    return TensorCodec(name if tensor.dtype == "float32" else "none", tensor, value_range)


def is_applicable(name: CodecName, tensor: TensorSpec, value_range: ValueRange | None) -> bool:
    """Whether `name` can carry `tensor`: u8 needs a range, f16 one that does not overflow."""
    if tensor.dtype != "float32" or name == "none":
        return True
    if name == "u8":
        return value_range is not None
    return value_range is None or max(abs(value_range.low), abs(value_range.high)) <= _FLOAT16_MAX


def quantisation(value_range: ValueRange) -> tuple[np.float32, np.uint8]:
    """Return scale and zero point of an affine uint8 code that covers `value_range` and holds 0 exactly."""
    low, high = min(value_range.low, 0.0), max(value_range.high, 0.0)
    scale = np.float32((high - low) / 255.0) or np.float32(1.0)
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, 255))


def append_encoder(model: ir.Model, codec: TensorCodec) -> None:
    """Add the codec's nodes to the segment that makes the tensor, and its wire to the segment's outputs.

    Raises:
        ModelError: the segment does not hold the tensor.
    """
    source = _value(model, codec.tensor.name)
    if codec.name == "none":
        if source not in model.graph.outputs:
            model.graph.outputs.append(source)
        return
    if codec.name == "f16":
        node = ir.node("Cast", [source], {"to": ir.DataType.FLOAT16.value}, name=f"{codec.wire.name}.encode")
    else:
        node = ir.node("QuantizeLinear", [source, *_constants(model, codec)], name=f"{codec.wire.name}.encode")
    model.graph.append(node)
    _describe(node.outputs[0], codec.wire)
    model.graph.outputs.append(node.outputs[0])


def prepend_decoder(model: ir.Model, codec: TensorCodec) -> None:
    """Make the segment take the codec's wire instead of the tensor, and decode it first.

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
    wire = ir.Value(name=codec.wire.name)
    _describe(wire, codec.wire)
    if codec.name == "f16":
        node = ir.node("Cast", [wire], {"to": ir.DataType.FLOAT.value}, name=f"{codec.wire.name}.decode")
    else:
        node = ir.node("DequantizeLinear", [wire, *_constants(model, codec)], name=f"{codec.wire.name}.decode")
    model.graph.inputs[index] = wire
    if len(model.graph):
        model.graph.insert_before(model.graph[0], node)
    else:
        model.graph.append(node)
    tensor.replace_all_uses_with(node.outputs[0], replace_graph_outputs=True)
    # The decoded tensor keeps the name under which the rest of the segment knows it.
    node.outputs[0].name = codec.tensor.name
    _describe(node.outputs[0], codec.tensor)


def _constants(model: ir.Model, codec: TensorCodec) -> tuple[ir.Value, ir.Value]:
    assert codec.value_range is not None
    scale, zero_point = quantisation(codec.value_range)
    return (
        _initializer(model, f"{codec.wire.name}.scale", np.asarray(scale)),
        _initializer(model, f"{codec.wire.name}.zero_point", np.asarray(zero_point)),
    )


def _initializer(model: ir.Model, name: str, array: Array) -> ir.Value:
    existing = model.graph.initializers.get(name)
    if existing is not None:
        return existing
    tensor = ir.tensor(array, name=name)
    value = ir.Value(name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape))
    model.graph.register_initializer(value)
    return value


def _value(model: ir.Model, name: str) -> ir.Value:
    values = ir.convenience.create_value_mapping(model.graph)
    if name not in values:
        raise ModelError(f"tensor {name!r} is not in the segment")
    return values[name]


def _describe(value: ir.Value, spec: TensorSpec) -> None:
    value.name = spec.name if value.name is None or value.name != spec.name else value.name
    value.dtype = ir.DataType.from_numpy(np.dtype(spec.dtype))
    value.shape = ir.Shape(spec.shape)
