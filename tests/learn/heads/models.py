"""Classifiers without exits, each with another kind of ending, and their shapes recorded."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper

from tests.graph.models import Net, loaded
from tests.graph.running import observe

FEATURES, WIDTH, CLASSES = 12, 16, 4


def body(net: Net) -> str:
    """Three layers of `WIDTH` on `x` [N, FEATURES], called `layer_1` to `layer_3`."""
    at, width = "x", FEATURES
    for layer in (1, 2, 3):
        weight = net.const(net._rng.standard_normal((width, WIDTH)) / width**0.5 * 1.5, np.float32)
        at = net.op("Relu", net.op("Gemm", at, weight, net.weight(WIDTH)), out=f"layer_{layer}")
        width = WIDTH
    return at


def scores(net: Net, source: str, out: str = "") -> str:
    weight = net.const(net._rng.standard_normal((WIDTH, CLASSES)), np.float32)
    return net.op("Gemm", source, weight, net.weight(CLASSES), out=out)


def perceptron(
    end: Callable[[Net, str], Sequence[str]] | None = None,
    *,
    opset: int = 17,
    integers: Sequence[str] = (),
    shapes: dict[str, Sequence[int | str]] | None = None,
) -> onnx.ModelProto:
    """A perceptron whose outputs `end` makes of its last layer; `logits` alone by default.

    `shapes` are those of outputs that are not [N, CLASSES], `integers` the outputs of type int64.
    """
    net = Net()
    last = body(net)
    names = [scores(net, last, "logits")] if end is None else list(end(net, last))
    proto = net.proto(
        {"x": ["N", FEATURES]}, {name: (shapes or {}).get(name, ["N", CLASSES]) for name in names}, opset=opset
    )
    for info in proto.graph.output:
        if info.name in integers:
            info.type.tensor_type.elem_type = TensorProto.INT64
    return proto


def observed(proto: onnx.ModelProto, folder: Path) -> ir.Model:
    return observe(loaded(proto, folder))


def convolutional(*, opset: int = 17) -> onnx.ModelProto:
    """Four convolutions on `x` [N, 3, 20, 14], the second to a narrow tensor, then a linear layer: `logits`."""
    net = Net()
    at = net.op("Relu", net.conv("x", (3, 8), strides=[2, 2]), out="wide")
    at = net.op("Relu", net.conv(at, (8, 2)), out="narrow")
    at = net.op("Relu", net.conv(at, (2, 8)), out="deep")
    at = net.op("Relu", net.conv(at, (8, 8)), out="deeper")
    pooled = net.op("Flatten", net.op("GlobalAveragePool", at))
    net.op("Gemm", pooled, net.weight(8, CLASSES), net.weight(CLASSES), out="logits")
    return net.proto({"x": ["N", 3, 20, 14]}, {"logits": ["N", CLASSES]}, opset=opset)


def masked() -> onnx.ModelProto:
    """Tokens `x` [N, 5, 8] through three layers that each look at `mask` [N, 5, 1] too: nothing cuts it alone."""
    net = Net()
    seen = net.op("Sub", "mask", net.const(0.5, np.float32), out="seen")
    at = "x"
    for layer in (1, 2, 3):
        at = net.op("Relu", net.op("MatMul", net.op("Mul", at, seen), net.weight(8, 8)), out=f"tokens_{layer}")
    summed = net.op("ReduceMean", at, axes=[1], keepdims=0)
    net.op(
        "MatMul",
        net.op("Add", summed, net.op("ReduceMean", seen, axes=[1], keepdims=0)),
        net.weight(8, 3),
        out="y",
    )
    return net.proto({"x": ["N", 5, 8], "mask": ["N", 5, 1]}, {"y": ["N", 3]})


def make_model(nodes: list[onnx.NodeProto], inputs: dict[str, int], outputs: dict[str, int]) -> onnx.ModelProto:
    """A model of [N, 4] tensors, of the given element types."""
    infos = [
        [helper.make_tensor_value_info(name, dtype, ["N", 4]) for name, dtype in each.items()]
        for each in (inputs, outputs)
    ]
    graph = helper.make_graph(nodes, "net", infos[0], infos[1])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
