"""What heads compute: features of tensors of every form, and layers as numpy computes them."""

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from splitnet.codec.nodes import Nodes
from splitnet.graph import model_bytes
from splitnet.learn.heads import HeadForm, Layers, Scaling, form_of
from splitnet.learn.heads.form import MOST_FEATURES
from splitnet.onnx_session import OnnxSession
from splitnet.tensors import Array, TensorSpec


def features(shape: tuple[int, ...], values: Array, dtype: str = "float32", opset: int | None = None) -> Array:
    form = form_of(TensorSpec("t", dtype, ("batch", *shape)))
    assert form is not None
    model = form.model() if opset is None else _with_opset(form, opset)
    made = OnnxSession(model_bytes(model), name="features").run({"t": values})["features"]
    assert made.dtype == np.float32
    assert made.shape == (len(values), form.features)
    return made


def _with_opset(form: HeadForm, opset: int) -> ir.Model:
    """The same nodes as a model of that opset appends them."""
    taken = ir.Value(name="t", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(form.tensor.shape))
    nodes = Nodes("f")
    made = form.append(nodes, taken, opset=opset)
    made.name, made.dtype = "features", ir.DataType.FLOAT
    graph = ir.Graph(
        [taken], [made], nodes=nodes.made, initializers=nodes.constants, opset_imports={"": opset}, name="f"
    )
    return ir.Model(graph, ir_version=8)


def values(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


@given(st.integers(1, 5), st.integers(1, 23), st.integers(1, 23))
def test_images_are_averaged_over_cells_that_cover_them(channels: int, height: int, width: int) -> None:
    array = values(2, channels, height, width)

    def cells(size: int) -> list[slice]:
        count = min(4, size)
        step = size // count
        return [slice(k * step, k * step + size - step * (count - 1)) for k in range(count)]

    expected = [array[:, :, rows, columns].mean((2, 3)) for rows in cells(height) for columns in cells(width)]
    made = features((channels, height, width), array)
    np.testing.assert_allclose(made, np.stack(expected, 2).reshape(2, -1), atol=1e-5)
    # Whatever lies in a row or a column counts.
    assert cells(height)[0].start == 0
    assert cells(height)[-1].stop == height


@pytest.mark.parametrize("channels", [4, 256, 500, 1024, MOST_FEATURES])
def test_many_channels_have_fewer_cells(channels: int) -> None:
    form = form_of(TensorSpec("t", "float32", ("batch", channels, 7, 7)))
    assert form is not None
    assert form.cells[0] == min(4, int((MOST_FEATURES / channels) ** 0.5))
    assert form.features == channels * form.cells[0] ** 2 <= MOST_FEATURES


@pytest.mark.parametrize("opset", [13, 17, 18, 21])
def test_tokens_are_their_first_and_their_mean(opset: int) -> None:
    array = values(3, 5, 6)
    expected = np.concatenate([array[:, 0], array.mean(1)], axis=1)
    np.testing.assert_allclose(features((5, 6), array, opset=opset), expected, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_rows_are_their_own_features(dtype: str) -> None:
    array = values(3, 5).astype(dtype)
    np.testing.assert_array_equal(features((5,), array, dtype), array.astype(np.float32))


@pytest.mark.parametrize(
    "spec",
    [
        TensorSpec("t", "int64", ("batch", 4)),
        TensorSpec("t", "float32", ("batch",)),
        TensorSpec("t", "float32", (4, "batch")),
        TensorSpec("t", "float32", (1, 4)),
        TensorSpec("t", "float32", ("batch", 2, 2, 2, 2)),
        TensorSpec("t", "float32", ("batch", 0)),
        TensorSpec("t", "float32", ("batch", MOST_FEATURES + 1)),
    ],
    ids=str,
)
def test_other_tensors_have_no_form(spec: TensorSpec) -> None:
    assert form_of(spec) is None


def test_scaling_brings_features_to_one_size() -> None:
    array = values(500, 4) * np.array([0.01, 1, 1, 100], np.float32) + 5
    array[:, 1] = 7
    scaling = Scaling.of(array)
    made = scaling(array)
    np.testing.assert_allclose(made.mean(0), 0, atol=1e-3)
    # A constant stays one, and what hardly varies is not blown up to the size of the rest.
    np.testing.assert_allclose(made.std(0), [0.1, 0, 1, 1], atol=0.01)
    assert np.isfinite(Scaling.of(np.ones((5, 3), np.float32))(np.ones((5, 3), np.float32))).all()


def test_layers_compute_what_numpy_does() -> None:
    layers = Layers.seeded(10, 3, seed=4)
    array = values(7, 10)
    made = OnnxSession(model_bytes(layers.model()), name="layers").run({"features": array})["logits"]
    np.testing.assert_allclose(made, layers(array), atol=1e-6)
    assert layers.hidden_bias.shape == (64,)
    assert Layers.seeded(10, 1000, seed=4).hidden_bias.shape == (256,)
    again = Layers.seeded(10, 3, seed=4)
    assert all(np.array_equal(array, again.tensors[name]) for name, array in layers.tensors.items())
