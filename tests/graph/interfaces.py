"""Graphs whose interface is odd: what they list as inputs and outputs, and what they say of shapes and names."""

import onnx
from onnx import TensorProto

from tests.graph.exotic_parts import FLOAT, INT64, row, tensor
from tests.graph.models import Net, fixed_batch, residual, transformer, two_inputs


def outputs_of_no_input() -> onnx.ModelProto:
    """Beside its answer it hands out a constant, the shape of its input, and the input."""
    net = Net()
    net.op("Relu", net.op("Neg", "x"), out="y")
    net.op("Neg", net.weight(4), out="constant")
    net.op("Shape", "x", out="shape")
    proto = net.proto({"x": ["N", 4]}, {"y": ["N", 4], "constant": [4]})
    proto.graph.output.append(tensor("shape", INT64, [2]))
    proto.graph.output.append(proto.graph.input[0])
    return proto


def said_twice() -> onnx.ModelProto:
    """An input, an output and a weight that the file lists twice."""
    net = Net()
    net.op("Relu", net.op("Add", "x", net.weight(1, 4)), out="y")
    proto = row(net, "y")
    proto.graph.input.append(proto.graph.input[0])
    proto.graph.output.append(proto.graph.output[0])
    proto.graph.initializer.append(proto.graph.initializer[0])
    return proto


def unused_input() -> onnx.ModelProto:
    net = Net()
    net.op("Relu", net.op("Neg", "x"), out="y")
    return net.proto({"x": ["N", 4], "unused": ["N", 3]}, {"y": ["N", 4]})


def odd_names() -> onnx.ModelProto:
    net = Net()
    net.op("Neg", net.op("Relu", "x", out="/модель/relu out:0"), out="y")
    return row(net, "y")


def wrong_value_info() -> onnx.ModelProto:
    """Shapes and types in the file that are not those of the run: batch 1, and float16."""
    proto = residual()
    proto.graph.value_info.append(tensor("stem", TensorProto.FLOAT16, [1, 7, 8, 8]))
    proto.graph.output[0].CopyFrom(tensor("y", FLOAT, [1, 5]))
    return proto


def untyped_output() -> onnx.ModelProto:
    proto = residual()
    proto.graph.output[0].ClearField("type")
    return proto


def generated_axis_names() -> onnx.ModelProto:
    proto = transformer()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "unk__12"
    proto.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "unk__13"
    return proto


def nameless_axis() -> onnx.ModelProto:
    proto = transformer()
    proto.graph.input[0].type.tensor_type.shape.dim[0].ClearField("dim_param")
    return proto


def batch_by_two_names() -> onnx.ModelProto:
    proto = two_inputs()
    proto.graph.input[1].type.tensor_type.shape.dim[0].dim_param = "M"
    return proto


def batch_of_one() -> onnx.ModelProto:
    proto = fixed_batch()
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    return proto
