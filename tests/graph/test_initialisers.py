"""Named constants of an ONNX file are read and replaced; all else in it stays."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from splitnet.errors import ModelError
from splitnet.graph import read_initialisers, with_initialisers
from splitnet.tensors import Array

W, B = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(3, np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "b"], ["y"])]
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", s]) for n, s in (("x", 2), ("y", 3))]
    weights = [numpy_helper.from_array(W, "w"), numpy_helper.from_array(B, "b")]
    model = helper.make_model(helper.make_graph(nodes, "g", infos[:1], infos[1:], weights))
    helper.set_model_props(model, {"kept": "as it is"})
    onnx.save(model, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def test_those_that_are_asked_for_are_read(path: Path) -> None:
    found = read_initialisers(path, ["w", "none"])
    assert found.keys() == {"w"}
    np.testing.assert_array_equal(found["w"], W)


def test_one_is_replaced_and_the_rest_stays(path: Path) -> None:
    content, beside = with_initialisers(path, {"w": W + 1}, beside=False)
    before, after = onnx.load(path), onnx.load_from_string(content)
    assert beside == ()
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in after.graph.initializer}
    np.testing.assert_array_equal(values["w"], W + 1)
    np.testing.assert_array_equal(values["b"], B)
    for model in (before, after):
        del model.graph.initializer[:]
    assert (list(after.graph.node), list(after.metadata_props)) == (
        list(before.graph.node),
        list(before.metadata_props),
    )


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("v", W, "initialiser 'v' is not there"),
        ("w", W.T, r"'w' is float32 \[2, 3\]; float32 \[3, 2\] was to replace it"),
        ("w", W.astype(np.float64), r"'w' is float32 \[2, 3\]; float64 \[2, 3\] was to replace it"),
    ],
)
def test_what_does_not_fit_is_refused(path: Path, name: str, array: Array, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        with_initialisers(path, {name: array}, beside=False)
