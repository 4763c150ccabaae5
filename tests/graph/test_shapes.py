"""Shapes by observation: affine fits, what they say of sendability, and the specs of a model's interface."""

from pathlib import Path

import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from splitnet.errors import InvalidArgumentError, ModelError, NotFoundError
from splitnet.graph import (
    AxisFit,
    axis_fits,
    fix_axes,
    input_specs,
    output_specs,
    record_shapes,
    sendable_specs,
    spec_of,
    with_every_output,
)
from splitnet.tensors import TensorSpec
from tests.graph.models import Net, loaded, samples, transformer
from tests.graph.running import observe, prepared, run

FITS = st.builds(AxisFit, st.integers(0, 500), st.integers(-9, 999))


@given(fit=FITS)
def test_a_fit_survives_being_written_into_a_shape(fit: AxisFit) -> None:
    assert AxisFit.from_dimension(fit.dimension) == fit


@given(fit=FITS, batch=st.integers(1, 99))
def test_a_written_fit_is_an_expression_that_onnx_ir_evaluates(fit: AxisFit, batch: int) -> None:
    assert ir.Shape([fit.dimension]).evaluate({"batch": batch}) == [fit.per_sample * batch + fit.constant]


@given(fit=FITS, batches=st.lists(st.integers(1, 50), min_size=2, max_size=4, unique=True))
def test_fitting_finds_the_affine_function(fit: AxisFit, batches: list[int]) -> None:
    sizes = [fit.per_sample * batch + fit.constant for batch in batches]
    assert AxisFit.fit(batches, sizes) == fit
    assert AxisFit.fit([*batches, 51], [*sizes, fit.per_sample * 51 + fit.constant + 1]) is None


def test_what_does_not_grow_evenly_has_no_fit() -> None:
    assert AxisFit.fit([2, 4], [1, 2]) is None
    assert AxisFit.fit([2, 3], [3, 2]) is None
    assert AxisFit.fit([7], [12]) == AxisFit(0, 12)
    assert AxisFit.from_dimension("N") is None
    assert AxisFit.from_dimension(None) is None


def test_every_data_tensor_is_observed_and_the_model_is_not_changed(tmp_path: Path) -> None:
    model = loaded(transformer(), tmp_path)
    copy = with_every_output(model)
    seen = run(copy, samples(model, 2))
    assert {"embedded", "flat_0", "block_0", "y"} <= seen.keys()
    assert "mask" not in seen
    assert len(model.graph.outputs) == 1


def test_recorded_shapes_name_the_batch(tmp_path: Path) -> None:
    model, _ = prepared("transformer", tmp_path)
    assert spec_of(model, "embedded") == TensorSpec("embedded", "float32", ("batch", 4, 8))
    flat = next(value for node in model.graph for value in node.outputs if value.name == "flat_0")
    assert [str(dim) for dim in flat.shape or ()] == ["4*batch", "8"]
    assert axis_fits(flat) == (AxisFit(4, 0), AxisFit(0, 8))
    assert spec_of(flat) is None
    assert "flat_0" not in sendable_specs(model)
    assert sendable_specs(model)["embedded"] == spec_of(model, "embedded")
    assert input_specs(model) == (TensorSpec("x", "float32", ("batch", 4, 8)),)
    assert output_specs(model) == (TensorSpec("y", "float32", ("batch", 8)),)
    with pytest.raises(NotFoundError, match="did you mean 'embedded'"):
        spec_of(model, "embeded")
    with pytest.raises(InvalidArgumentError, match="without the name"):
        spec_of(model)


def test_inputs_that_runs_do_not_report_get_their_batch_axis(tmp_path: Path) -> None:
    model = loaded(transformer(), tmp_path)
    seen = [{"embedded": ("float32", (batch, 4, 8))} for batch in (2, 3)]
    record_shapes(model, seen, (2, 3))
    assert spec_of(model, "x") == TensorSpec("x", "float32", ("batch", 4, 8))
    fixed = loaded(transformer(), tmp_path)
    record_shapes(fixed, seen[:1], (2,))
    assert spec_of(fixed, "x") == TensorSpec("x", "float32", (2, 4, 8))
    assert spec_of(fixed, "embedded") == TensorSpec("embedded", "float32", (2, 4, 8))


def test_sizes_that_follow_from_values_stay_open(tmp_path: Path) -> None:
    net = Net()
    net.op("Cast", net.op("NonZero", "x", out="where"), to=TensorProto.FLOAT, out="y")
    model = observe(loaded(net.proto({"x": [4, 4]}, {"y": [2, "count"]}), tmp_path), batches=(4,))
    assert spec_of(model, "where") is None
    with pytest.raises(ModelError, match=r"axis 0 of output 'y' is open"):
        output_specs(model)


def test_runs_must_fit_one_another(tmp_path: Path) -> None:
    model = loaded(transformer(), tmp_path)
    one = {"embedded": ("float32", (2, 4, 8))}
    for runs, batches in (([], []), ([one], [2, 3]), ([one, one], [2, 2])):
        with pytest.raises(InvalidArgumentError, match="expected one or more"):
            record_shapes(model, runs, batches)
    with pytest.raises(ModelError, match="element type or rank"):
        record_shapes(model, [one, {"embedded": ("float16", (3, 4, 8))}], (2, 3))
    with pytest.raises(ModelError, match="element type or rank"):
        record_shapes(model, [one, {"embedded": ("float32", (3, 4))}], (2, 3))
    with pytest.raises(InvalidArgumentError, match="'complex64'"):
        record_shapes(model, [{"embedded": ("complex64", (3, 4))}], (2,))


def test_an_open_axis_is_named_and_can_be_fixed(tmp_path: Path) -> None:
    net = Net()
    net.op("Relu", "x", out="y")
    model = loaded(net.proto({"x": ["N", "length", 8]}, {"y": ["N", "length", 8]}), tmp_path)
    with pytest.raises(ModelError, match=r"axis 1 of input 'x' is open \(length\)"):
        input_specs(model)
    with pytest.raises(NotFoundError, match=r"no input has an open axis 'width'; open axes are \['N', 'length'\]"):
        fix_axes(model, {"width": 3})
    with pytest.raises(InvalidArgumentError, match="at least 1"):
        fix_axes(model, {"length": 0})
    fix_axes(model, {"length": 6})
    assert input_specs(model) == (TensorSpec("x", "float32", ("batch", 6, 8)),)
    assert output_specs(model) == (TensorSpec("y", "float32", ("batch", 6, 8)),)


def test_a_batch_axis_that_is_not_first_is_known_by_its_name(tmp_path: Path) -> None:
    net = Net()
    net.op("Transpose", "x", perm=[1, 0], out="y")
    model = loaded(net.proto({"x": ["N", 8]}, {"y": [8, "N"]}), tmp_path)
    assert output_specs(model) == (TensorSpec("y", "float32", (8, "batch")),)
    assert output_specs(observe(model)) == (TensorSpec("y", "float32", (8, "batch")),)


def test_interfaces_that_cannot_be_sent_are_refused(tmp_path: Path) -> None:
    net = Net()
    net.op("MatMul", "x", net.op("Transpose", "x", perm=[1, 0]), out="y")
    proto = net.proto({"x": ["N", 8]}, {"y": ["N", "N"]})
    with pytest.raises(ModelError, match="output 'y' has more than one batch axis"):
        output_specs(loaded(proto, tmp_path))
    proto.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, None))
    with pytest.raises(ModelError, match="input 'x' has no shape"):
        input_specs(loaded(proto, tmp_path))
    proto.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.BFLOAT16, ["N", 8]))
    with pytest.raises(ModelError, match="input 'x' has element type bfloat16"):
        input_specs(loaded(proto, tmp_path))


def test_strings_and_sequences_are_not_sendable(tmp_path: Path) -> None:
    net = Net()
    parts = net.op("SplitToSequence", "x", axis=1, out="parts")
    net.op("ConcatFromSequence", parts, axis=1, out="y")
    model = observe(loaded(net.proto({"x": ["N", 4]}, {"y": ["N", 4]}), tmp_path))
    assert spec_of(model, "parts") is None
    assert spec_of(model, "y") == TensorSpec("y", "float32", ("batch", 4))
    record_shapes(model, [{"y": ("object", (2, 4))}, {"y": ("object", (3, 4))}], (2, 3))
    assert spec_of(model, "y") is None
