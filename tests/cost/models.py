"""Small ONNX models, made node by node."""

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from splitnet.cost import NodeTensors
from splitnet.tensors import Tensors

WIDTH = 64


def _model(nodes: list[NodeProto], *, output: str, constants: dict[str, object], image: bool = False) -> bytes:
    name, shape = "x", tuple[str | int, ...](("batch", WIDTH))
    if image:
        name, shape = "image", (1, 16, 32, 32)
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    content: bytes = model.SerializeToString()
    return content


def feeds(samples: int = 1) -> Tensors:
    return {"x": np.linspace(0, 1, samples * WIDTH, dtype=np.float32).reshape(samples, WIDTH)}


def places(content: bytes) -> dict[str, NodeTensors]:
    """The nodes of a model, as a profile wants them."""
    nodes = ModelProto.FromString(content).graph.node
    return {node.name: NodeTensors(tuple(node.input), tuple(node.output)) for node in nodes}


def convolutions() -> bytes:
    """Conv, Relu, Conv, Relu: at full optimisation a pair is one kernel, called after the tensor that it makes."""
    weights = np.full((16, 16, 3, 3), 0.01)
    nodes = []
    source = "image"
    for index in (1, 2):
        nodes += [
            helper.make_node("Conv", [source, "w"], [f"c{index}"], name=f"conv{index}", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"c{index}"], [f"r{index}"], name=f"relu{index}"),
        ]
        source = f"r{index}"
    return _model(nodes, output="r2", constants={"w": weights}, image=True)


def image() -> Tensors:
    return {"image": np.linspace(0, 1, 16 * 32 * 32, dtype=np.float32).reshape(1, 16, 32, 32)}


def perceptron(names: tuple[str, str, str, str, str] = ("mm", "add", "relu", "same", "exp")) -> bytes:
    """MatMul, Add, Relu, Identity, Exp: at basic optimisation the first two are fused, the Identity is gone."""
    steps = [("MatMul", ["x", "w"]), ("Add", ["t0", "b"]), ("Relu", ["t1"]), ("Identity", ["t2"]), ("Exp", ["t3"])]
    nodes = [
        helper.make_node(op, inputs, [f"t{index}"], name=name)
        for index, ((op, inputs), name) in enumerate(zip(steps, names, strict=True))
    ]
    return _model(nodes, output="t4", constants={"w": np.eye(WIDTH), "b": np.ones(WIDTH)})


def branching() -> bytes:
    """Greater, an If whose branches multiply matrices, Exp."""
    branches: dict[str, Any] = {}
    for branch, op in (("then", "Relu"), ("else", "Neg")):
        body = [
            helper.make_node("MatMul", ["x", "w"], [f"{branch}0"], name=f"{branch}-matmul"),
            helper.make_node(op, [f"{branch}0"], [f"{branch}1"], name=f"{branch}-{op}"),
        ]
        output = helper.make_tensor_value_info(f"{branch}1", TensorProto.FLOAT, None)
        branches[f"{branch}_branch"] = helper.make_graph(body, branch, [], [output])
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0, name="sum"),
        helper.make_node("Greater", ["sum", "zero"], ["positive"], name="greater"),
        helper.make_node("If", ["positive"], ["chosen"], name="if", **branches),
        helper.make_node("Exp", ["chosen"], ["y"], name="exp"),
    ]
    return _model(nodes, output="y", constants={"w": np.eye(WIDTH), "zero": 0.0})


def swish() -> bytes:
    """Relu, HardSwish, Exp: onnxruntime puts nodes of its own naming in the place of HardSwish."""
    steps = [("Relu", "x", "t0"), ("HardSwish", "t0", "t1"), ("Exp", "t1", "t2")]
    nodes = [helper.make_node(op, [source], [target], name=op.lower()) for op, source, target in steps]
    return _model(nodes, output="t2", constants={})
