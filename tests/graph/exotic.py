"""Graphs as other exporters and optimisers write them, each with the trait that could break a cut."""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.graph import interfaces
from tests.graph.exotic_parts import BOOL, FLOAT, INT64, row, sequence, tensor
from tests.graph.models import Net


def loop_over_if() -> onnx.ModelProto:
    """A Loop whose body holds an If; each captures a tensor from outside."""
    net = Net()
    left = net.op("Relu", "x", out="left")
    right = net.op("Tanh", net.op("Mul", left, net.weight(1, 4)), out="right")
    branches = [
        helper.make_graph([helper.make_node(kind, ["state", outer], [kind])], kind, [], [tensor(kind)])
        for kind, outer in (("Add", left), ("Sub", right))
    ]
    body = helper.make_graph(
        [
            helper.make_node("Greater", ["step", net.const(1)], ["late"]),
            helper.make_node("If", ["late"], ["next"], then_branch=branches[0], else_branch=branches[1]),
            helper.make_node("Identity", ["going"], ["on"]),
        ],
        "body",
        [tensor("step", INT64, []), tensor("going", BOOL, []), tensor("state")],
        [tensor("on", BOOL, []), tensor("next")],
    )
    looped = net.op("Loop", net.const(3), "", net.op("Neg", right), body=body, out="looped")
    net.op("Sigmoid", net.op("Mul", looped, right), out="y")
    return row(net, "y")


def branches_that_capture_shapes() -> onnx.ModelProto:
    """An If whose branches capture a weight that others read too, and the shape of the input."""
    net = Net()
    weight = net.weight(1, 4)
    middle = net.op("Tanh", net.op("Mul", net.op("Relu", "x"), weight), out="middle")
    shape = net.op("Shape", "x")
    branches = [
        helper.make_graph(
            [
                helper.make_node("ReduceSum", [middle], [f"sum_{kind}"]),
                helper.make_node(kind, [f"sum_{kind}", weight], [f"mixed_{kind}"]),
                helper.make_node("Expand", [f"mixed_{kind}", shape], [kind]),
            ],
            kind,
            [],
            [tensor(kind)],
        )
        for kind in ("Add", "Sub")
    ]
    large = net.op("Greater", net.op("ReduceMax", middle, keepdims=0), net.const(0.1, np.float32))
    chosen = net.op("If", large, then_branch=branches[0], else_branch=branches[1], out="chosen")
    net.op("Sigmoid", net.op("Mul", net.op("Add", chosen, middle), weight), out="y")
    return row(net, "y")


def scan() -> onnx.ModelProto:
    """Runs over its samples one after the other."""
    net = Net()
    at = net.op("Relu", "x")
    start = net.op("ReduceSum", at, net.const([0]), keepdims=0)
    nodes = [
        helper.make_node("Add", ["sum", "each"], ["next"]),
        helper.make_node("Mul", ["next", "each"], ["out"]),
    ]
    body = helper.make_graph(nodes, "body", [tensor("sum"), tensor("each")], [tensor("next"), tensor("out")])
    net.ops("Scan", start, at, outs=["last", "all"], body=body, num_scan_inputs=1)
    net.op("Add", net.op("Neg", "all"), "last", out="y")
    return row(net, "y")


def sequences_by_branch() -> onnx.ModelProto:
    """An If and an Identity whose outputs are sequences, which nothing says of them."""
    net = Net()
    first = net.op("Relu", "x", out="first")
    branches = [
        helper.make_graph(
            [helper.make_node("SequenceConstruct", names, ["".join(names)])], "b", [], [sequence("".join(names))]
        )
        for names in ([first, "x"], ["x", first])
    ]
    large = net.op("Greater", net.op("ReduceMax", first, keepdims=0), net.const(0.5, np.float32))
    pair = net.op("Identity", net.op("If", large, then_branch=branches[0], else_branch=branches[1]), out="pair")
    joined = net.op("ConcatFromSequence", pair, axis=1)
    net.op("Neg", net.op("MatMul", joined, net.weight(8, 4)), out="y")
    return row(net, "y")


def sequence_by_loop() -> onnx.ModelProto:
    net = Net()
    first = net.op("Relu", "x")
    nodes = [
        helper.make_node("SequenceInsert", ["held", first], ["more"]),
        helper.make_node("Identity", ["going"], ["on"]),
    ]
    body = helper.make_graph(
        nodes,
        "body",
        [tensor("step", INT64, []), tensor("going", BOOL, []), sequence("held")],
        [tensor("on", BOOL, []), sequence("more")],
    )
    held = net.op("Loop", net.const(2), "", net.op("SequenceEmpty"), body=body, out="collected")
    net.op("MatMul", net.op("ConcatFromSequence", held, axis=1), net.weight(8, 4), out="y")
    return row(net, "y")


def optional() -> onnx.ModelProto:
    net = Net()
    wrapped = net.op("Optional", net.op("Relu", "x"), out="wrapped")
    net.op("Relu", net.op("Neg", net.op("OptionalGetElement", wrapped)), out="y")
    return row(net, "y")


def chosen_of_sequence() -> onnx.ModelProto:
    net = Net()
    both = net.op("SequenceConstruct", net.op("Relu", "x"), net.op("Tanh", "x"), out="both")
    net.op("Relu", net.op("Neg", net.op("SequenceAt", both, net.const(1))), out="y")
    return row(net, "y")


def _refer(node: onnx.NodeProto, attribute: str, outer: str) -> onnx.NodeProto:
    node.attribute.append(onnx.AttributeProto(name=attribute, ref_attr_name=outer, type=onnx.AttributeProto.FLOAT))
    return node


def nested_functions(opset: int = 17) -> onnx.ModelProto:
    """A function in a function, each handing an attribute on."""
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    leaky = _refer(helper.make_node("LeakyRelu", ["a"], ["b"]), "alpha", "slope")
    inner = helper.make_function("own", "Inner", ["a"], ["b"], [leaky], opsets, attributes=["slope"])
    call = _refer(helper.make_node("Inner", ["a"], ["m"], domain="own"), "slope", "steepness")
    body = [call, helper.make_node("Tanh", ["m"], ["b"])]
    outer = helper.make_function("own", "Outer", ["a"], ["b"], body, opsets, attributes=["steepness"])
    net = Net()
    net.op("Outer", net.op("Outer", "x", domain="own", steepness=0.3), domain="own", steepness=0.7, out="y")
    proto = row(net, "y")
    proto.functions.extend([inner, outer])
    proto.opset_import.append(opsets[1])
    return proto


def weights_as_inputs() -> onnx.ModelProto:
    """Format version 3, in which every initialiser is an input too."""
    net = Net()
    weight = net.weight(1, 4)
    net.op("Relu", net.op("Mul", net.op("Add", "x", weight), weight), out="y")
    proto = net.proto({"x": ["N", 4], weight: [1, 4]}, {"y": ["N", 4]})
    proto.ir_version = 3
    return proto


def constants() -> onnx.ModelProto:
    """Every form of Constant that a float model has."""
    net = Net()
    one = net.ops("Constant", outs=["one"], value_float=2.0)[0]
    several = net.ops("Constant", outs=["several"], value_floats=[1.0, 2.0, 3.0, 4.0])[0]
    shape = net.ops("Constant", outs=["shape"], value_ints=[-1, 2, 2])[0]
    size = net.ops("Constant", outs=["size"], value=helper.make_tensor("", INT64, [2], [-1, 4]))[0]
    at = net.op("Reshape", net.op("Mul", net.op("Add", "x", one), several), shape)
    net.op("Reshape", net.op("Relu", at), size, out="y")
    return row(net, "y")


def tokens_flattened() -> onnx.ModelProto:
    """Its middle holds two rows a sample: not sendable, though all around it is."""
    net = Net()
    flat = net.op("Neg", net.op("Reshape", net.op("Relu", "x"), net.const([-1, 2])), out="flat")
    net.op("Relu", net.op("Reshape", flat, net.const([-1, 4])), out="y")
    return row(net, "y")


def lstm() -> onnx.ModelProto:
    """Recurrent, time first: the batch is axis 1, and its initial state is expanded from the input's shape."""
    net = Net()
    steps = net.op("Transpose", net.op("Tanh", "x"), perm=[1, 0, 2], out="steps")
    batch = net.op("Slice", net.op("Shape", "x"), net.const([0]), net.const([1]))
    sizes = net.op("Concat", net.const([1]), batch, net.const([5]), axis=0)
    start = net.op("Expand", net.const(0, np.float32), sizes)
    weights = [net.weight(1, 20, 3), net.weight(1, 20, 5), net.weight(1, 40)]
    net.ops("LSTM", steps, *weights, "", start, start, outs=["states", "", "cell"], hidden_size=5)
    net.op("Transpose", net.op("Squeeze", "states", net.const([1])), perm=[1, 0, 2], out="y")
    return net.proto({"x": ["N", 7, 3]}, {"y": ["N", 7, 5]})


def narrow_types() -> onnx.ModelProto:
    """Weights of 4 bits, and a bfloat16 tensor that numpy cannot hold and nothing declares."""
    net = Net()
    net.weights.append(helper.make_tensor("w4", TensorProto.INT4, [4, 4], np.arange(16) - 8))
    weight = net.op("DequantizeLinear", "w4", net.const(0.1, np.float32))
    rounded = net.op("Cast", net.op("MatMul", net.op("Relu", "x"), weight), to=TensorProto.BFLOAT16)
    net.op("Neg", net.op("Cast", rounded, to=FLOAT), out="y")
    return net.proto({"x": ["N", 4]}, {"y": ["N", 4]}, opset=21)


def text_between() -> onnx.ModelProto:
    net = Net()
    text = net.op("Cast", net.op("Relu", "x"), to=TensorProto.STRING)
    net.op("Neg", net.op("Cast", text, to=FLOAT), out="y")
    return row(net, "y")


def trees() -> onnx.ModelProto:
    """Operators of ai.onnx.ml, as converters of other libraries write them."""
    net = Net()
    scaled = net.op("Scaler", net.op("Relu", "x"), domain="ai.onnx.ml", offset=[0.1] * 4, scale=[2.0] * 4)
    net.op(
        "TreeEnsembleRegressor",
        scaled,
        domain="ai.onnx.ml",
        out="y",
        n_targets=1,
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[0, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_values=[0.5, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        target_ids=[0, 0],
        target_nodeids=[1, 2],
        target_treeids=[0, 0],
        target_weights=[1.0, 2.0],
    )
    proto = net.proto({"x": ["N", 4]}, {"y": ["N", 1]})
    proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return proto


def contributed() -> onnx.ModelProto:
    """An operator of onnxruntime's own whose domain the model forgot to import."""
    net = Net()
    net.op("Neg", net.op("Gelu", net.op("Relu", "x"), domain="com.microsoft"), out="y")
    return row(net, "y")


#: Each graph with how many cuts of it can be sent, the input and the whole not counted.
EXOTIC: dict[str, tuple[Callable[[], onnx.ModelProto], int]] = {
    "loop over if": (loop_over_if, 6),
    "branches that capture shapes": (branches_that_capture_shapes, 8),
    "scan": (scan, 4),
    "sequences by branch": (sequences_by_branch, 5),
    "sequence by loop": (sequence_by_loop, 2),
    "optional": (optional, 3),
    "chosen of a sequence": (chosen_of_sequence, 4),
    "nested functions": (nested_functions, 3),
    "weights as inputs": (weights_as_inputs, 2),
    "constants": (constants, 4),
    "tokens flattened": (tokens_flattened, 2),
    "lstm": (lstm, 4),
    "narrow types": (narrow_types, 3),
    "text between": (text_between, 2),
    "trees": (trees, 2),
    "contributed": (contributed, 2),
    "outputs of no input": (interfaces.outputs_of_no_input, 1),
    "said twice": (interfaces.said_twice, 1),
    "unused input": (interfaces.unused_input, 1),
    "odd names": (interfaces.odd_names, 1),
    "wrong value info": (interfaces.wrong_value_info, 14),
    "untyped output": (interfaces.untyped_output, 14),
    "generated axis names": (interfaces.generated_axis_names, 23),
    "nameless axis": (interfaces.nameless_axis, 23),
    "batch by two names": (interfaces.batch_by_two_names, 5),
}

#: Those in which samples are not apart: an answer depends on the others of its batch, so none may leave it.
MIXING = frozenset({"branches that capture shapes", "scan", "sequences by branch"})
