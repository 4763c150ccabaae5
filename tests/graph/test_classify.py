"""Only nodes that the samples' values reach are data; shapes that depend on values are data too."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
from onnx import TensorProto, helper

from splitnet.graph import NodeClass, classify, quantised_tensors
from tests.graph.models import Net, captured, loaded, quantised, transformer


def by_output(model: ir.Model) -> dict[str, NodeClass]:
    classes = classify(model)
    return {value.name or "": classes[node.name or ""] for node in model.graph for value in node.outputs}


def test_a_mask_made_of_a_shape_is_shape_and_its_reader_is_data(tmp_path: Path) -> None:
    model = loaded(transformer(), tmp_path)
    classes = by_output(model)
    assert classes["mask"] is NodeClass.SHAPE
    assert classes["embedded"] is NodeClass.DATA
    data = {node.op_type for node in model.graph if classes[node.outputs[0].name or ""] is NodeClass.DATA}
    assert data.isdisjoint({"Shape", "Size", "Concat", "Div", "Gather", "Expand", "Unsqueeze"})
    assert {"Where", "Reshape", "MatMul"} <= data


def test_constants_random_sources_and_shapes_of_values(tmp_path: Path) -> None:
    net = Net()
    net.op("Neg", net.weight(4), out="constant")
    net.op("RandomNormal", shape=[4], out="noise")
    net.op("Shape", net.op("NonZero", "x", out="where"), out="count")
    net.op("Shape", net.op("Transpose", "where", perm=[1, 0], out="turned"), out="turned_count")
    net.op("Shape", "x", out="shape")
    net.op("Shape", net.op("Reshape", "x", "count", out="shaped"), out="shaped_shape")
    outs = ["constant", "noise", "count", "turned_count", "shape", "shaped_shape"]
    proto = net.proto({"x": ["N", 4]}, {})
    proto.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in outs)
    classes = by_output(loaded(proto, tmp_path))
    assert classes["constant"] is NodeClass.CONSTANT
    assert classes["shape"] is NodeClass.SHAPE
    assert {classes[name] for name in ("noise", "count", "turned_count", "shaped_shape")} == {NodeClass.DATA}


def test_a_node_with_branches_reads_what_they_capture(tmp_path: Path) -> None:
    proto = captured()
    # A constant condition leaves the captured tensors as the only data that reaches the If.
    chosen = next(node for node in proto.graph.node if node.op_type == "If")
    chosen.input[0] = "always"
    proto.graph.initializer.append(helper.make_tensor("always", TensorProto.BOOL, [], [1]))
    assert by_output(loaded(proto, tmp_path))["chosen"] is NodeClass.DATA


def test_a_loop_that_collects_has_a_shape_of_its_own(tmp_path: Path) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["on"]), helper.make_node("Neg", ["x"], ["each"])],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("each", TensorProto.FLOAT, None),
        ],
    )
    net = Net()
    trips = net.op("Cast", net.op("ReduceMax", "x", keepdims=0), to=TensorProto.INT64)
    net.op("Shape", net.op("Loop", trips, "", body=body, out="collected"), out="length")
    proto = net.proto({"x": ["N", 4]}, {})
    proto.graph.output.append(helper.make_empty_tensor_value_info("length"))
    assert by_output(loaded(proto, tmp_path))["length"] is NodeClass.DATA


def test_what_data_is_quantised_into_is_known(tmp_path: Path) -> None:
    assert quantised_tensors(loaded(quantised(), tmp_path)) == {"q_0", "q_1", "q_2"}
    assert not quantised_tensors(loaded(transformer(), tmp_path))


def test_integer_operators_quantise_unless_they_answer_in_float(tmp_path: Path) -> None:
    net = Net()
    one, zero = net.const(1, np.float32), net.const(0, np.uint8)
    at = net.op("QuantizeLinear", "x", one, zero, out="q")
    at = net.op("QLinearSigmoid", at, one, zero, one, zero, domain="com.microsoft", out="sigmoid")
    weight = net.const(np.ones((4, 4)), np.uint8)
    scales = ["q", one, zero, weight, one, zero, ""]
    net.op("QGemm", *scales, one, zero, domain="com.microsoft", out="gemm")
    net.op("QGemm", *scales, domain="com.microsoft", out="float_gemm")
    net.op("QLinearOwn", "q", domain="own", out="own")
    proto = net.proto({"x": ["N", 4]}, {})
    outs = ("sigmoid", "gemm", "float_gemm", "own")
    proto.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in outs)
    assert quantised_tensors(loaded(proto, tmp_path)) == {"q", "sigmoid", "gemm"}
