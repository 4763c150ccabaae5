"""Small models of the kinds that are split, each with the trait that makes splitting it hard."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from splitnet.graph import load_model
from splitnet.tensors import Array


class Net:
    """Collects nodes and weights; every method returns the name of the tensor that it made."""

    def __init__(self, seed: int = 0) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._rng = np.random.default_rng(seed)

    def op(self, operator: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        return self.ops(operator, *inputs, outs=[out or f"{operator.lower()}_{len(self.nodes)}"], **attributes)[0]

    def ops(self, operator: str, *inputs: str, outs: list[str], **attributes: Any) -> list[str]:
        self.nodes.append(helper.make_node(operator, inputs, outs, name=f"n_{outs[0]}", **attributes))
        return outs

    def const(self, array: Any, dtype: type[np.generic] = np.int64) -> str:
        name = f"w_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def weight(self, *shape: int) -> str:
        return self.const(self._rng.standard_normal(shape) / 3, np.float32)

    def conv(self, source: str, channels: tuple[int, int], size: int = 3, **attributes: Any) -> str:
        weight, bias = self.weight(channels[1], channels[0], size, size), self.weight(channels[1])
        return self.op("Conv", source, weight, bias, pads=[size // 2] * 4, **attributes)

    def proto(
        self,
        inputs: Mapping[str, Sequence[int | str]],
        outputs: Mapping[str, Sequence[int | str]],
        opset: int = 17,
    ) -> onnx.ModelProto:
        infos = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in each.items()]
            for each in (inputs, outputs)
        ]
        graph = helper.make_graph(self.nodes, "net", infos[0], infos[1], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def loaded(proto: onnx.ModelProto, folder: Path) -> ir.Model:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return load_model(path)


def residual() -> onnx.ModelProto:
    net = Net()
    at = net.op("Relu", net.conv("x", (3, 4)), out="stem")
    for block in range(2):
        inner = net.op("Relu", net.conv(at, (4, 4)))
        at = net.op("Relu", net.op("Add", net.conv(inner, (4, 4)), at), out=f"block_{block}")
    pooled = net.op("Flatten", net.op("GlobalAveragePool", at))
    net.op("Gemm", pooled, net.weight(4, 5), net.weight(5), out="y")
    return net.proto({"x": ["N", 3, 8, 8]}, {"y": ["N", 5]})


def unet() -> onnx.ModelProto:
    net = Net()
    first = net.op("Relu", net.conv("x", (1, 4)), out="skip_1")
    second = net.op(
        "Relu", net.conv(net.op("MaxPool", first, kernel_shape=[2, 2], strides=[2, 2]), (4, 8)), out="skip_2"
    )
    deep = net.op(
        "Relu", net.conv(net.op("MaxPool", second, kernel_shape=[2, 2], strides=[2, 2]), (8, 8)), out="deep"
    )
    for skip, channels, after in ((second, 16, 4), (first, 8, 4)):
        scales = net.const([1, 1, 2, 2], np.float32)
        grown = net.op("Resize", deep, "", scales, mode="nearest")
        deep = net.op("Relu", net.conv(net.op("Concat", grown, skip, axis=1), (channels, after)))
    net.op("Sigmoid", net.conv(deep, (4, 1), 1), out="y")
    return net.proto({"x": ["N", 1, 8, 8]}, {"y": ["N", 1, 8, 8]})


def transformer(opset: int = 17) -> onnx.ModelProto:
    """Two blocks whose mask, head split and token flattening all derive from the shapes of their inputs."""
    net = Net()
    at = net.op("Add", "x", net.weight(4, 8), out="embedded")
    causal = net.const(np.tril(np.ones((4, 4))), np.bool_)
    batch = net.op("Gather", net.op("Shape", "x"), net.const([0]), axis=0)
    mask = net.op("Expand", causal, net.op("Concat", batch, net.const([1, 4, 4]), axis=0), out="mask")
    for block in range(2):
        attended = net.op("Add", _attention(net, at, mask, opset), at)
        tokens = net.op("Div", net.op("Size", attended), net.const(8))
        flat_shape = net.op("Concat", net.op("Unsqueeze", tokens, net.const([0])), net.const([8]), axis=0)
        flat = net.op("Reshape", attended, flat_shape, out=f"flat_{block}")
        hidden = net.op("Relu", net.op("Gemm", flat, net.weight(8, 16), net.weight(16)))
        shrunk = net.op("Gemm", hidden, net.weight(16, 8), net.weight(8))
        at = net.op("Reshape", shrunk, net.op("Shape", attended), out=f"block_{block}")
    net.op("ReduceMean", at, axes=[1], keepdims=0, out="y")
    return net.proto({"x": ["N", 4, 8]}, {"y": ["N", 8]}, opset)


def _attention(net: Net, at: str, mask: str, opset: int) -> str:
    shape = (
        net.op("Shape", at, start=0, end=-1)
        if opset >= 15
        else net.op("Slice", net.op("Shape", at), *_first_two(net))
    )
    heads_shape = net.op("Concat", shape, net.const([2, 4]), axis=0)
    heads = net.op("Transpose", net.op("Reshape", at, heads_shape), perm=[0, 2, 1, 3])
    scores = net.op("MatMul", heads, net.op("Transpose", heads, perm=[0, 1, 3, 2]))
    masked = net.op("Where", mask, scores, net.const(-1e9, np.float32))
    mixed = net.op("MatMul", net.op("Softmax", masked, axis=-1), heads)
    merged = net.op("Transpose", mixed, perm=[0, 2, 1, 3])
    return net.op("Reshape", merged, net.op("Concat", shape, net.const([8]), axis=0))


def _first_two(net: Net) -> tuple[str, str]:
    return net.const([0]), net.const([2])


def transformer_13() -> onnx.ModelProto:
    return transformer(13)


def exits() -> onnx.ModelProto:
    net = Net()
    at = "x"
    for stage in (1, 2):
        at = net.op("Relu", net.conv(at, (3 if stage == 1 else 4, 4)), out=f"stage_{stage}")
        pooled = net.op("Flatten", net.op("GlobalAveragePool", at, out=f"pool_{stage}"))
        net.op("Gemm", pooled, net.weight(4, 5), net.weight(5), out=f"exit_{stage}")
    pooled = net.op("Flatten", net.op("GlobalMaxPool", net.conv(at, (4, 4))))
    net.op("Gemm", pooled, net.weight(4, 5), net.weight(5), out="y")
    return net.proto({"x": ["N", 3, 8, 8]}, {"exit_1": ["N", 5], "exit_2": ["N", 5], "y": ["N", 5]})


def captured() -> onnx.ModelProto:
    """An If that reads two outer tensors which none of its inputs names."""
    net = Net()
    left = net.op("Relu", "x", out="left")
    right = net.op("Tanh", net.op("Mul", left, net.weight(1, 6)), out="right")
    total = net.op("ReduceMax", net.op("Abs", right), keepdims=0)
    large = net.op("Greater", total, net.const(0.5, np.float32), out="large")
    branches = [
        helper.make_graph(
            [helper.make_node(operator, ["left", "right"], [f"{operator}_out"], name=f"inner_{operator}")],
            operator,
            [],
            [helper.make_tensor_value_info(f"{operator}_out", TensorProto.FLOAT, None)],
        )
        for operator in ("Add", "Sub")
    ]
    chosen = net.op("If", large, then_branch=branches[0], else_branch=branches[1], out="chosen")
    net.op("Sigmoid", net.op("Mul", chosen, right), out="y")
    return net.proto({"x": ["N", 6]}, {"y": ["N", 6]})


def shared_weights() -> onnx.ModelProto:
    net = Net()
    weight, bias, at = net.weight(6, 6), net.weight(6), "x"
    for _ in range(4):
        at = net.op("Relu", net.op("Gemm", at, weight, bias))
    net.op("Identity", at, out="y")
    return net.proto({"x": ["N", 6]}, {"y": ["N", 6]})


def quantised() -> onnx.ModelProto:
    net = Net()
    scale, zero, at = net.const(0.05, np.float32), net.const(128, np.uint8), "x"
    for step in range(3):
        at = net.op("QuantizeLinear", at, scale, zero, out=f"q_{step}")
        at = net.op("Relu", net.conv(net.op("DequantizeLinear", at, scale, zero), (3, 3)))
    net.op("Identity", at, out="y")
    return net.proto({"x": ["N", 3, 6, 6]}, {"y": ["N", 3, 6, 6]})


def two_inputs() -> onnx.ModelProto:
    """Two inputs, one of them read late; two outputs, one of them made early."""
    net = Net()
    early = net.op("Relu", "x", out="early")
    halves = net.ops("Split", net.op("Tanh", early), outs=["top", "bottom"], axis=1)
    mixed = net.op("Add", net.op("Mul", *halves), "z")
    net.op("Sigmoid", mixed, out="y")
    return net.proto({"x": ["N", 6], "z": ["N", 3]}, {"early": ["N", 6], "y": ["N", 3]})


def fixed_batch() -> onnx.ModelProto:
    proto = transformer()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    proto.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 2
    return proto


#: Each model with its primary outputs.
ZOO: dict[str, tuple[Callable[[], onnx.ModelProto], tuple[str, ...]]] = {
    "residual": (residual, ("y",)),
    "unet": (unet, ("y",)),
    "transformer": (transformer, ("y",)),
    "transformer_13": (transformer_13, ("y",)),
    "exits": (exits, ("y",)),
    "captured": (captured, ("y",)),
    "shared_weights": (shared_weights, ("y",)),
    "quantised": (quantised, ("y",)),
    "two_inputs": (two_inputs, ("early", "y")),
}


def samples(model: ir.Model, batch: int, seed: int = 0) -> dict[str, Array]:
    """Return random feeds for the inputs of `model`: normal floats, and zeros and ones for any other type."""
    rng = np.random.default_rng(seed)
    feeds = {}
    for value in model.graph.inputs:
        shape = [dim if isinstance(dim, int) else batch for dim in value.shape or ()]
        dtype = np.dtype(value.dtype.numpy() if value.dtype is not None else np.float32)
        drawn = rng.standard_normal(shape) if dtype.kind == "f" else rng.integers(0, 2, shape)
        feeds[value.name or ""] = drawn.astype(dtype)
    return feeds
