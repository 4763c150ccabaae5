"""Pieces of exotic graphs."""

from collections.abc import Sequence

import onnx
from onnx import TensorProto, helper

from tests.graph.models import Net

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def tensor(name: str, element_type: int = FLOAT, shape: Sequence[int] | None = None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element_type, shape)


def sequence(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_sequence_value_info(name, FLOAT, None)


def row(net: Net, output: str) -> onnx.ModelProto:
    """A model of `net` from `x` to `output`, both [N, 4]."""
    return net.proto({"x": ["N", 4]}, {output: ["N", 4]})
