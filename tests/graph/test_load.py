"""Loading normalises what exporters write, and refuses what cannot be split with a message that helps."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from splitnet.errors import ModelError, NotFoundError
from splitnet.graph import load_model, model_bytes
from tests.graph.models import Net, captured, loaded, residual, samples
from tests.graph.running import run, same_bits

FLOATS = TensorProto.FLOAT


def tiny(**changes: object) -> onnx.ModelProto:
    net = Net()
    net.op("Add", "x", net.weight(4), out="y")
    proto = net.proto({"x": ["N", 4]}, {"y": ["N", 4]})
    for field, value in changes.items():
        setattr(proto, field, value)
    return proto


def test_initialisers_are_no_inputs_and_constants_become_initialisers(tmp_path: Path) -> None:
    net = Net()
    weight = net.weight(4)
    net.ops("Constant", outs=["two"], value_float=2.0)
    net.op("Mul", net.op("Add", "x", weight), "two", out="y")
    proto = net.proto({"x": ["N", 4], weight: [4]}, {"y": ["N", 4]})
    model = loaded(proto, tmp_path)
    assert [value.name for value in model.graph.inputs] == ["x"]
    assert set(model.graph.initializers) == {weight, "two"}
    assert [node.op_type for node in model.graph] == ["Add", "Mul"]


def test_nodes_are_sorted_named_and_needed(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["a"], ["y"]),
        helper.make_node("Relu", ["x"], ["a"], name="same"),
        helper.make_node("Tanh", ["a"], ["unused"], name="same"),
        helper.make_node("Neg", ["y"], ["z"], name="same"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", FLOATS, [2])],
        [helper.make_tensor_value_info("z", FLOATS, [2])],
    )
    model = loaded(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path)
    assert [node.op_type for node in model.graph] == ["Relu", "Relu", "Neg"]
    names = [node.name for node in model.graph]
    assert all(names)
    assert len(set(names)) == 3


def test_functions_are_inlined(tmp_path: Path) -> None:
    body = [helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Neg", ["b"], ["c"])]
    function = helper.make_function("own", "NegRelu", ["a"], ["c"], body, [helper.make_opsetid("", 17)])
    graph = helper.make_graph(
        [
            helper.make_node("NegRelu", ["x"], ["h"], domain="own"),
            helper.make_node("NegRelu", ["h"], ["y"], domain="own"),
        ],
        "net",
        [helper.make_tensor_value_info("x", FLOATS, ["N", 2])],
        [helper.make_tensor_value_info("y", FLOATS, ["N", 2])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model = loaded(helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=8), tmp_path)
    assert [node.op_type for node in model.graph] == ["Relu", "Neg", "Relu", "Neg"]
    assert not model.functions
    assert run(model, {"x": np.array([[-1, 2]], np.float32)})["y"].tolist() == [[0, 0]]


def test_outputs_that_a_node_leaves_out_stay_out(tmp_path: Path) -> None:
    net = Net()
    net.ops("TopK", "x", net.const([2]), outs=["", "y"])
    proto = net.proto({"x": ["N", 4]}, {"y": ["N", 2]})
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    model = loaded(proto, tmp_path)
    assert [value.name for value in model.graph[0].outputs] == ["", "y"]


def test_a_branch_keeps_what_it_captures(tmp_path: Path) -> None:
    model = loaded(captured(), tmp_path)
    feeds = samples(model, 2)
    assert run(model, feeds)["y"].shape == (2, 6)


def no_inputs() -> onnx.ModelProto:
    net = Net()
    net.op("Neg", net.weight(4), out="y")
    return net.proto({}, {"y": [4]})


def sequence_input() -> onnx.ModelProto:
    net = Net()
    net.op("ConcatFromSequence", "x", axis=0, out="y")
    proto = net.proto({}, {"y": ["N", 4]})
    proto.graph.input.append(helper.make_tensor_sequence_value_info("x", FLOATS, [4]))
    return proto


def undefined() -> onnx.ModelProto:
    net = Net()
    net.op("Add", "x", "nowhere", out="y")
    return net.proto({"x": [4]}, {"y": [4]})


def cyclic() -> onnx.ModelProto:
    net = Net()
    net.op("Add", "x", "y", out="z")
    net.op("Neg", "z", out="y")
    return net.proto({"x": [4]}, {"y": [4]})


def other_operators_only() -> onnx.ModelProto:
    proto = tiny()
    proto.opset_import[0].domain = "ai.onnx.ml"
    return proto


def no_outputs() -> onnx.ModelProto:
    proto = tiny()
    del proto.graph.output[:]
    return proto


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (onnx.ModelProto, "no nodes"),
        (no_inputs, "no inputs"),
        (no_outputs, "no outputs"),
        (sequence_input, "input 'x' is of type Sequence"),
        (undefined, r"reads \['nowhere'\]"),
        (cyclic, "cycle"),
        (other_operators_only, "not imported"),
    ],
)
def test_what_cannot_be_split_is_refused(make: Callable[[], onnx.ModelProto], said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        loaded(make(), tmp_path)
    assert str(tmp_path / "model.onnx") in str(caught.value)


def test_old_opsets_are_refused(tmp_path: Path) -> None:
    proto = tiny()
    proto.opset_import[0].version = 12
    with pytest.raises(ModelError, match="opset 12; export with 13"):
        loaded(proto, tmp_path)


def test_files_that_are_no_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"absent\.onnx: no such file"):
        load_model(tmp_path / "absent.onnx")
    with pytest.raises(ModelError, match="directory"):
        load_model(tmp_path)
    path = tmp_path / "text.onnx"
    path.write_text("weights of the year")
    with pytest.raises(ModelError, match="not an ONNX model"):
        load_model(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_load_or_raise_a_model_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    intact = tiny().SerializeToString()
    damaged = bytearray(intact[: data.draw(st.integers(0, len(intact)))])
    for _ in range(data.draw(st.integers(0, 3)) if damaged else 0):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(damaged)
    with suppress(ModelError):
        assert len(load_model(path).graph)


def external(folder: Path) -> Path:
    """Write a model whose weights are in a file beside it."""
    path = folder / "external.onnx"
    ir.save(ir.from_proto(residual()), path, external_data="external.onnx.data")
    return path


def test_external_weights_stay_mapped_and_come_along(tmp_path: Path) -> None:
    path = external(tmp_path)
    model = load_model(path)
    assert (tmp_path / "external.onnx.data").stat().st_size > path.stat().st_size // 2
    mapped = [value.const_value for value in model.graph.initializers.values()]
    assert any(isinstance(tensor, ir.ExternalTensor) for tensor in mapped)
    feeds = samples(model, 2)
    assert same_bits(run(model, feeds), run(loaded(residual(), tmp_path), feeds))
    alone = onnx.load_from_string(model_bytes(model))
    assert not any(tensor.external_data for tensor in alone.graph.initializer)


def test_a_relative_path_is_checked_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = external(tmp_path).with_suffix(".onnx.data")
    monkeypatch.chdir(tmp_path)
    inside = tmp_path / "sub" / "weights"
    inside.parent.mkdir()
    weights.replace(inside)
    weights.symlink_to(inside)
    assert load_model(Path("external.onnx")).graph.initializers
    weights.unlink()
    weights.symlink_to(inside.replace(tmp_path.parent / "outside"))
    with pytest.raises(ModelError, match="outside the model's directory"):
        load_model(Path("external.onnx"))


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd"])
def test_external_weights_elsewhere_are_refused(location: str, tmp_path: Path) -> None:
    proto = tiny()
    onnx.external_data_helper.set_external_data(proto.graph.initializer[0], location)
    with pytest.raises(ModelError, match="outside the model's directory") as caught:
        loaded(proto, tmp_path)
    assert location in str(caught.value)


def test_external_weights_that_are_gone_short_or_linked_are_refused(tmp_path: Path) -> None:
    path = external(tmp_path)
    weights = tmp_path / "external.onnx.data"
    os.link(weights, tmp_path / "link")
    with pytest.raises(ModelError, match="2 hard links"):
        load_model(path)
    (tmp_path / "link").unlink()
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelError, match="damaged or truncated"):
        load_model(path)
    weights.unlink()
    with pytest.raises(ModelError, match="No such file"):
        load_model(path)


def test_weights_beyond_a_message_are_refused(tmp_path: Path) -> None:
    model = loaded(tiny(), tmp_path)
    huge = ir.LazyTensor(lambda: ir.tensor([0.0]), dtype=ir.DataType.FLOAT, shape=ir.Shape([2**30]), name="huge")
    model.graph.initializers["w_0"].const_value = huge
    with pytest.raises(ModelError, match="bytes of weights, and an ONNX file holds at most"):
        model_bytes(model)
