"""The backward of every operator equals torch's, by every input that can be trained through."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from splitnet.errors import ModelError
from splitnet.learn.gradient import BACKWARD
from tests.learn.cases import CASES, Case, floats, ints, rough, smooth
from tests.learn.gradient.graphs import assert_gradients, fed, ours, seeded
from tests.learn.graphs import single

#: Operators that their further float inputs have a gradient by.
ALL_INPUTS = {
    "Add",
    "Concat",
    "Conv",
    "Div",
    "Gemm",
    "MatMul",
    "Max",
    "Mean",
    "Min",
    "Mul",
    "PRelu",
    "Pow",
    "Sub",
    "Sum",
}

#: Cases that the backward refuses, which tests below name.
REFUSED = ("Pad-2x4x5-mode=", "Gather-3x4x5-axis=1", "Split", "GroupNormalization-2x4x3x5-num_groups=2-18")

MORE = (
    smooth("Conv", floats(2, 6, 9, 8), floats(6, 1, 3, 3), floats(6), group=6, strides=[2, 2], pads=[1, 1, 1, 1]),
    smooth(
        "Conv",
        floats(3, 6, 9, 8),
        floats(4, 3, 2, 3),
        group=2,
        strides=[3, 2],
        dilations=[2, 2],
        pads=[2, 0, 1, 3],
    ),
    smooth("Conv", floats(3, 4, 7, 6), floats(5, 4, 1, 1), floats(5), strides=[2, 3], pads=[1, 0, 0, 1]),
    smooth("Conv", floats(3, 4, 5, 6), floats(5, 4, 1, 1)),
    smooth("Conv", floats(2, 4, 11), floats(4, 1, 3), group=4, strides=[2], dilations=[3], pads=[3, 2]),
    smooth(
        "Conv", floats(2, 2, 5, 6, 5), floats(4, 1, 3, 2, 3), group=2, strides=[2, 2, 1], pads=[1, 1, 0, 0, 1, 1]
    ),
    smooth("Conv", floats(2, 4, 8, 8), floats(4, 4, 5, 5), strides=[4, 4]),
    smooth("MaxPool", floats(2, 3, 8, 9), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], opset=13 + 3),
    smooth("MaxPool", floats(2, 3, 8, 9), kernel_shape=[2, 2], strides=[2, 2], opset=13),
    smooth(
        "AveragePool",
        floats(2, 3, 7, 6),
        kernel_shape=[3, 2],
        strides=[2, 2],
        pads=[1, 1, 1, 0],
        ceil_mode=1,
        count_include_pad=1,
    ),
    smooth("Slice", floats(4, 7), ints(5), ints(0), ints(1), ints(-2)),
    smooth("Where", np.array([[True, False, True]]), floats(2, 3), floats(2, 1)),
    smooth("ReduceMean", floats(3, 4, 5), axes=[-1], opset=17),
    smooth("ReduceL2", np.zeros((2, 3), np.float32), ints(1)),
    smooth("Relu", np.zeros((2, 3), np.float32)),
    smooth("Cast", floats(2, 3), to=TensorProto.DOUBLE),
    smooth("Gather", floats(3, 4, 5), ints(2, 0), axis=-1),
    smooth("Pow", floats(2, 3), ints(2)),
    smooth("Pow", np.zeros((2, 3), np.float32), np.zeros((3,), np.float32)),
    smooth("LayerNormalization", floats(2, 3, 8), floats(8), opset=17),
    smooth("BatchNormalization", floats(5, 3), floats(3), floats(3), floats(3), floats(3, low=0.5)),
)

SMOOTH = tuple(
    case
    for case in (*CASES, *MORE)
    if case.smooth and case.operator in BACKWARD and not case.name.startswith(REFUSED)
)


@pytest.mark.parametrize("case", SMOOTH, ids=[f"{index}-{case.name}" for index, case in enumerate(SMOOTH)])
def test_equals_torch(case: Case) -> None:
    proto = single(case.operator, case.inputs, opset=case.opset, attributes=case.attributes)
    given = {
        ("x" if index == 0 else f"i{index}"): array for index, array in enumerate(case.inputs) if array is not None
    }
    by = [name for name, array in given.items() if array.dtype == np.float32]
    if case.operator not in (*ALL_INPUTS, "Where"):
        by = ["x"]
    proto, values = fed(proto, by)
    assert_gradients(proto, {"x": given["x"]} | values, by)


def test_every_operator_has_a_case() -> None:
    assert {case.operator for case in SMOOTH} | {"Split"} == set(BACKWARD)


@pytest.mark.parametrize("left_out", [(), ("b",), ("a", "c")])
def test_a_split_takes_zeros_for_outputs_that_are_not_used(left_out: tuple[str, ...]) -> None:
    """Of three parts those that the loss does not need give no gradient."""
    parts = ["a", "b", "c"]
    nodes = [helper.make_node("Split", ["x", "sizes"], parts, name="split", axis=1)]
    kept = [part for part in parts if part not in left_out]
    sizes = onnx.numpy_helper.from_array(ints(1, 4, 2), "sizes")
    infos = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 7])]
    outputs = [onnx.ValueInfoProto(name=name) for name in kept]
    graph = helper.make_graph(nodes, "split", infos, outputs, [sizes])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    x = floats(3, 7)
    seeds = {name: floats(3, size) for name, size in zip(parts, (1, 4, 2), strict=True)}
    whole = [seeds[name] if name in kept else np.zeros_like(seeds[name]) for name in parts]
    found = ours(proto, {"x": x}, {name: seeds[name] for name in kept}, ["x"])
    np.testing.assert_array_equal(found["d.x"], np.concatenate(whole, axis=1))


def test_ties_of_overlapping_windows_are_resolved_as_in_torch() -> None:
    """Rectified features are full of equal zeros."""
    x = np.maximum(floats(2, 3, 8, 8), 0).round()
    case = {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1]}
    assert_gradients(single("MaxPool", (x,), attributes=case), {"x": x}, ["x"])


NOT_TRAINABLE = (
    (rough("Pad", floats(2, 4), ints(0, 1, 0, 1), mode="reflect"), "mode is not constant"),
    (rough("Gather", floats(3, 4), ints(1, 1)), "more than once"),
    (rough("Gather", floats(3, 4), np.array([[0, 1]], np.int64)), "indices have 2 axes"),
    (rough("MatMul", floats(2, 3), floats(3)), "is a vector"),
    (rough("MaxPool", floats(1, 1, 5, 5), kernel_shape=[3, 3], opset=13), "need opset 16"),
    (rough("MaxPool", floats(1, 1, 4, 4), kernel_shape=[2, 2], strides=[2, 2], storage_order=1), "column-major"),
    (rough("AveragePool", floats(1, 1, 8), kernel_shape=[1], strides=[4], auto_pad="SAME_LOWER"), "too far apart"),
    (rough("GroupNormalization", floats(2, 4, 3), floats(2), floats(2), opset=18, num_groups=2), "opset 21"),
    (rough("CumSum", floats(2, 3), np.array(1, np.int64)), "has no backward"),
)


@pytest.mark.parametrize(("case", "reason"), NOT_TRAINABLE, ids=[case.name for case, _ in NOT_TRAINABLE])
def test_what_cannot_be_differentiated_names_node_and_operator(case: Case, reason: str) -> None:
    proto = single(case.operator, case.inputs, opset=case.opset, attributes=case.attributes)
    with pytest.raises(ModelError, match=rf"'node'.*{case.operator}.*{reason}"):
        seeded(proto, ["x"])


def test_scale_and_bias_of_a_normalisation_are_frozen() -> None:
    proto, _ = fed(single("LayerNormalization", (floats(2, 8), floats(8))), ["i1"])
    with pytest.raises(ModelError, match=r"'node' \(LayerNormalization\): only its first input"):
        seeded(proto, ["x", "i1"])
