"""Small ONNX models, made node by node."""

from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from splitnet.tensors import Tensors

WIDTH = 64


def _model(nodes: list[NodeProto], *, output: str, constants: dict[str, object]) -> bytes:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    content: bytes = model.SerializeToString()
    return content


def feeds(samples: int = 1) -> Tensors:
    return {"x": np.linspace(0, 1, samples * WIDTH, dtype=np.float32).reshape(samples, WIDTH)}


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
