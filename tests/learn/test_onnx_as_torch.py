"""Whole graphs as torch functions: equal to onnxruntime's answers, with gradients and without a leak of values."""

import itertools
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.overrides import TorchFunctionMode

from splitnet.errors import InvalidArgumentError, ModelError
from splitnet.graph import extract_segment, input_specs, load_model
from splitnet.learn.onnx_as_torch import as_torch
from splitnet.samples import read_samples
from tests.graph import models
from tests.learn.graphs import assert_same, torch_graph

EXAMPLE = Path(__file__).parents[2] / "examples" / "pcb_inspection"


@pytest.mark.parametrize(
    "make", [models.residual, models.unet, models.transformer], ids=lambda make: make.__name__
)
@pytest.mark.parametrize("batch", [1, 3])
def test_equals_onnxruntime(make: Callable[[], onnx.ModelProto], batch: int) -> None:
    proto = make()
    x = proto.graph.input[0]
    shape = [size.dim_value or batch for size in x.type.tensor_type.shape.dim]
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    assert_same(proto, {x.name: values})


def test_the_example_equals_onnxruntime() -> None:
    path = EXAMPLE / "model.onnx"
    samples = read_samples(EXAMPLE / "calibration.npz", input_specs(load_model(path)), limit=4)
    assert_same(onnx.load(path), samples.inputs)


def test_gradients_reach_a_boundary_and_leave_weights_alone() -> None:
    model = load_model(EXAMPLE / "model.onnx")
    # Sizes are given here because nothing has recorded shapes.
    boundary = ir.convenience.create_value_mapping(model.graph)["boundary1"]
    boundary.shape, boundary.type = ir.Shape(["batch", 16, 8, 8]), ir.TensorType(ir.DataType.FLOAT)
    graph = as_torch(extract_segment(model, ["boundary1"], ["logits"]))
    x = torch.rand(2, 16, 8, 8, requires_grad=True)
    graph({"boundary1": x})["logits"].square().sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().sum()) > 0
    assert not list(graph.parameters())
    assert not any(weight.requires_grad for weight in graph.buffers())


def test_weights_move_with_the_graph() -> None:
    proto = models.residual()
    graph = torch_graph(proto).double()
    made = graph({"x": torch.zeros(1, 3, 8, 8, dtype=torch.float64)})
    assert made["y"].dtype is torch.float64


def test_values_that_nothing_reads_any_more_are_dropped() -> None:
    """Of the values of a chain of 64 additions a few live at a time."""
    names = ["x", *(f"t{index}" for index in range(64))]
    nodes = [helper.make_node("Add", pair, [after], name=after) for pair, after in _doubled(names)]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in (names[0], names[-1])]
    graph = torch_graph(helper.make_model(helper.make_graph(nodes, "chain", infos[:1], infos[1:])))
    alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
    most = 0

    class Watch(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal most
            made = func(*args, **(kwargs or {}))
            alive.add(made)
            most = max(most, len(alive))
            return made

    with Watch():
        made = graph({"x": torch.ones(4)})
    assert float(made[names[-1]][0]) == 2.0**64
    assert 0 < most <= 4


def _doubled(names: list[str]) -> list[tuple[list[str], str]]:
    return [([before, before], after) for before, after in itertools.pairwise(names)]


def test_a_missing_input_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match=r"missing tensors \['x'\]"):
        torch_graph(models.residual())({})


def test_an_operator_of_another_domain_is_named() -> None:
    node = helper.make_node("FusedConv", ["x"], ["y"], name="fused", domain="com.example")
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    proto = helper.make_model(helper.make_graph([node], "custom", infos[:1], infos[1:]))
    with pytest.raises(ModelError, match=r"'fused': operator com\.example::FusedConv"):
        torch_graph(proto)


def test_a_weight_of_a_type_that_torch_lacks_is_named() -> None:
    words = numpy_helper.from_array(np.array(["word"], object), "words")
    node = helper.make_node("Identity", ["words"], ["y"], name="node")
    info = helper.make_tensor_value_info("y", TensorProto.STRING, [1])
    proto = helper.make_model(helper.make_graph([node], "text", [], [info], [words]))
    with pytest.raises(ModelError, match="'words' of type STRING"):
        torch_graph(proto)
