"""Steps of networks around each kind of operator: equal to torch's after one step and after fifty."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from splitnet.learn.step import Subject, training_graphs
from splitnet.package import Optimiser
from tests.graph.models import Net
from tests.learn.step.training import (
    Rates,
    batches,
    initial,
    largest_difference,
    observed,
    train_by_graphs,
    train_by_torch,
)

#: Given what the first convolution makes, [N, 6, 7, 6], returns what the layers in the middle make of it.
Middle = Callable[[Net, str], str]


def _layer(operator: str, **attributes: Any) -> Middle:
    return lambda net, at: net.op(operator, at, **attributes)


def _conv(shape: tuple[int, ...], **attributes: Any) -> Middle:
    return lambda net, at: net.op("Conv", at, net.weight(*shape), net.weight(shape[0]), **attributes)


def _batch_norm(net: Net, at: str) -> str:
    scale, bias, mean = (net.weight(6) for _ in range(3))
    return net.op("BatchNormalization", at, scale, bias, mean, net.const(np.linspace(0.5, 2, 6), np.float32))


def _layer_norm(net: Net, at: str) -> str:
    return net.op("LayerNormalization", at, net.weight(6), net.weight(6), axis=-1)


def _layer_norm_in_parts(net: Net, at: str) -> str:
    """As exporters write it where the operator is not there: its scale and bias stay frozen too."""
    last = net.const([-1])
    centred = net.op("Sub", at, net.op("ReduceMean", at, last))
    squares = net.op("Pow", centred, net.const(2, np.float32))
    variance = net.op("Add", net.op("ReduceMean", squares, last), net.const(1e-5, np.float32))
    scaled = net.op("Mul", net.op("Div", centred, net.op("Sqrt", variance)), net.weight(6))
    return net.op("Add", scaled, net.weight(6))


def _linear(net: Net, at: str) -> str:
    """A layer that is exported as MatMul and Add, over [N, 6, 7, 6]."""
    return net.op("Add", net.weight(5), net.op("MatMul", at, net.weight(6, 5)))


def _rearranged(net: Net, at: str) -> str:
    return net.op("MatMul", at, net.op("Transpose", net.weight(4, 6), perm=[1, 0]))


def _attention(net: Net, at: str) -> str:
    tokens = net.op("Reshape", at, net.const([0, 6, 42]))
    query, key = (net.op("MatMul", tokens, net.weight(42, 8)) for _ in range(2))
    products = net.op("MatMul", query, net.op("Transpose", key, perm=[0, 2, 1]))
    scores = net.op("Mul", products, net.const(0.05, np.float32))
    return net.op("MatMul", net.op("Softmax", scores, axis=-1), tokens)


def _residual(net: Net, at: str) -> str:
    inner = net.op("Conv", net.op("Relu", at), net.weight(6, 6, 3, 3), pads=[1, 1, 1, 1])
    return net.op("Concat", net.op("Add", inner, at), net.op("Sub", at, inner), axis=1)


def _gated(net: Net, at: str) -> str:
    """Squeeze and excitation: a product that is broadcast over the places."""
    pooled = net.op("GlobalAveragePool", at)
    gate = net.op("HardSigmoid", net.op("Conv", pooled, net.weight(6, 6, 1, 1), net.weight(6)))
    return net.op("Mul", at, gate)


def _first_token(net: Net, at: str) -> str:
    return net.op("Gather", net.op("Flatten", at, axis=1), net.const([3, 40, 2]), axis=1)


MIDDLES: dict[str, Middle] = {
    "none": lambda _net, at: at,
    "strided convolution": _conv((4, 6, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1]),
    "grouped convolution": _conv((4, 3, 3, 2), group=2, strides=[1, 2], pads=[0, 1, 1, 0]),
    "depthwise convolution": _conv((6, 1, 3, 3), group=6, strides=[2, 1], pads=[1, 1, 1, 1]),
    "dilated convolution": _conv((4, 6, 3, 3), dilations=[2, 2], pads=[2, 2, 2, 2]),
    "pointwise convolution": _conv((8, 6, 1, 1), strides=[2, 2]),
    "auto-padded convolution": _conv((4, 6, 2, 3), strides=[2, 2], auto_pad="SAME_UPPER"),
    "average pooling": _layer("AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
    "maximum pooling": _layer("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "global average": _layer("GlobalAveragePool"),
    "global maximum": _layer("GlobalMaxPool"),
    "batch normalisation": _batch_norm,
    "layer normalisation": _layer_norm,
    "layer normalisation in parts": _layer_norm_in_parts,
    "linear": _linear,
    "linear, weight rearranged": _rearranged,
    "attention": _attention,
    "residual": _residual,
    "gated": _gated,
    "chosen tokens": _first_token,
    **{name: _layer(name) for name in ("Elu", "HardSwish", "Mish", "Relu", "Sigmoid", "Softplus", "Tanh")},
    "Gelu": _layer("Gelu"),
    "LeakyRelu": _layer("LeakyRelu", alpha=0.1),
}


def network(middle: Middle, ending: str | None = None) -> onnx.ModelProto:
    """A convolution, a middle, and linear layers to 5 classes; opset 20."""
    net = Net()
    at = net.op("Tanh", middle(net, net.op("Tanh", net.conv("x", (2, 6)))))
    flat = net.op("Flatten", at, out="flat")
    width = _width(net)
    hidden = net.op("Gemm", flat, net.weight(8, width), net.weight(8), transB=1)
    scores = net.op("Gemm", net.op("Relu", hidden), net.weight(8, 5), net.weight(5), out="logits")
    if ending is not None:
        net.op(ending, scores, axis=-1, out="y")
    return net.proto({"x": ["N", 2, 7, 6]}, {"y" if ending else "logits": ["N", 5]}, opset=20)


def _width(net: Net) -> int:
    """How many features the network so far makes of a sample."""
    proto = net.proto({"x": [1, 2, 7, 6]}, {"flat": [1, "width"]}, opset=20)
    inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    named = {info.name: info for info in inferred.graph.value_info}
    shape = named[inferred.graph.node[-1].input[0]].type.tensor_type.shape
    return int(np.prod([size.dim_value for size in shape.dim]))


RATES = {"sgd": Rates(0.02), "adam": Rates(0.005)}


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("name", MIDDLES)
def test_equals_torch_after_one_step_and_after_fifty(name: str, optimiser: Optimiser, tmp_path: Path) -> None:
    model = observed(network(MIDDLES[name]), tmp_path)
    subject = Subject(model, "logits", probabilities=False, scope="segment")
    graphs = training_graphs(subject)
    onnx.checker.check_model(onnx.load_from_string(graphs.steps[optimiser]), full_check=True)
    names = [entry.name for entry in graphs.parameters]
    steps = batches(model, 5, 50)
    found, losses = train_by_graphs(subject, graphs, optimiser, steps, RATES[optimiser])
    wanted, of_torch = train_by_torch(subject, names, optimiser, steps, RATES[optimiser])
    assert largest_difference(found[0], wanted[0]) < 1e-5
    assert largest_difference(found[-1], wanted[-1]) < 1e-4
    np.testing.assert_allclose(losses, of_torch, rtol=1e-4)
    assert largest_difference(found[-1], initial(subject, graphs)) > 1e-3
