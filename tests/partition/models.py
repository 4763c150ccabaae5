"""Models for partition jobs, beyond those of tests/graph/models.py: with exits, and hard on codecs."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from splitnet.tensors import Array
from tests.graph.models import Net

CLASSES = 4


def with_exits(proto: onnx.ModelProto, exits: Any) -> onnx.ModelProto:
    """Describe `exits` (text stays as it is) in the model's metadata."""
    del proto.metadata_props[:]
    entry = proto.metadata_props.add()
    entry.key, entry.value = "splitnet.exits", exits if isinstance(exits, str) else json.dumps(exits)
    return proto


def heads(*, features: bool = False) -> list[dict[str, Any]]:
    """What the metadata of `classifier` say."""
    return [
        {
            "outputs": {"y": f"exit_{k}"} | ({"early": f"features_{k}"} if features else {}),
            "confidence": f"sure_{k}",
        }
        for k in (1, 2)
    ]


def classifier(*, features: bool = False, noise: Sequence[float] = (0.5, 0.2)) -> onnx.ModelProto:
    """Three heads on `x` [N, 8]: four columns of logits, and four of noise that the early heads mix in.

    The deeper a head, the less noise. With `features` there is a second output, `early`, that the first step
    makes and nothing above reads.
    """
    net = Net()
    at = net.op("MatMul", "x", net.const(np.eye(8), np.float32), out="stage_1")
    outputs: dict[str, Sequence[int | str]] = {}
    if features:
        net.op("Tanh", at, out="early")
        outputs["early"] = ["N", 8]
    for k, share in enumerate(noise, start=1):
        if k > 1:
            at = net.op("MatMul", at, net.const(np.eye(8), np.float32), out=f"stage_{k}")
        mixing = np.vstack([np.eye(CLASSES), share * np.eye(CLASSES)])
        net.op("MatMul", at, net.const(mixing, np.float32), out=f"exit_{k}")
        sharper = net.op("Mul", f"exit_{k}", net.const(4, np.float32))
        net.op("ReduceMax", net.op("Softmax", sharper, axis=-1), axes=[1], keepdims=0, out=f"sure_{k}")
        outputs |= {f"exit_{k}": ["N", CLASSES], f"sure_{k}": ["N"]}
        if features:
            net.op("Sigmoid", at, out=f"features_{k}")
            outputs[f"features_{k}"] = ["N", 8]
    at = net.op("MatMul", at, net.const(np.eye(8), np.float32), out="stage_3")
    net.op("MatMul", at, net.const(np.eye(8)[:, :CLASSES], np.float32), out="y")
    return with_exits(net.proto({"x": ["N", 8]}, outputs | {"y": ["N", CLASSES]}), heads(features=features))


def logits(count: int, seed: int = 0) -> tuple[Array, Array]:
    """Samples for `classifier` and their labels: what its last head says."""
    x = np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)
    return x, x[:, :CLASSES].argmax(axis=1)


def outlier(offset: float, scale: float) -> onnx.ModelProto:
    """Its cut tensor `t` [N, 3] has `scale` in one column; the answer is which of the others is larger.

    A large `scale` blinds u8, which has one step for the tensor; a large `offset` under both blinds f16 too.
    """
    net = Net()
    scaled = net.op("Mul", "x", net.const([[scale, 1, 1]], np.float32))
    net.op("Add", scaled, net.const([[0, offset, offset]], np.float32), out="t")
    moved = net.op("Sub", "t", net.const([[0, offset, offset]], np.float32))
    net.op("MatMul", moved, net.const([[0, 0], [1, 0], [0, 1]], np.float32), out="y")
    return net.proto({"x": ["N", 3]}, {"y": ["N", 2]})


def shared_table() -> onnx.ModelProto:
    """A second input that all samples share: with it among them no tensors can be sent."""
    net = Net()
    net.op("MatMul", net.op("Relu", "x", out="kept"), "table", out="mixed")
    net.op("Sigmoid", net.op("Tanh", "mixed", out="deep"), out="y")
    return net.proto({"x": ["N", 4], "table": [4, 4]}, {"y": ["N", 4]})


def by_chance() -> onnx.ModelProto:
    """Above `t` it draws numbers; onnxruntime seeds them by the node's place, which a cut at `t` changes."""
    net = Net()
    kept = net.op("Relu", "x", out="t")
    net.op("Add", kept, net.op("RandomNormalLike", kept), out="y")
    return net.proto({"x": ["N", 4]}, {"y": ["N", 4]})


def single_node() -> onnx.ModelProto:
    net = Net()
    net.op("Relu", "x", out="y")
    return net.proto({"x": ["N", 4]}, {"y": ["N", 4]})


def sequence() -> onnx.ModelProto:
    """An open axis beside the batch."""
    net = Net()
    net.op("Sigmoid", net.op("Relu", "x", out="t"), out="y")
    return net.proto({"x": ["N", "length", 4]}, {"y": ["N", "length", 4]})
