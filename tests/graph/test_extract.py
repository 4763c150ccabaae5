"""Extraction beyond equal results: interfaces, rebuilt shapes, refusals, and leaving the source alone."""

from itertools import pairwise
from pathlib import Path

import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from splitnet.errors import ModelError, NotFoundError
from splitnet.graph import enumerate_cuts, extract_segment, input_specs, model_bytes, output_specs, spec_of
from splitnet.tensors import TensorSpec
from tests.graph.models import Net, loaded, residual, samples, transformer
from tests.graph.random_graphs import RandomGraph, random_graphs
from tests.graph.running import chain, observe, prepared, run, run_chain, same_bits


@settings(max_examples=40, deadline=None)
@given(graph=random_graphs(12), data=st.data())
def test_random_graphs_split_to_the_bit(graph: RandomGraph, data: st.DataObject) -> None:
    model = observe(ir.from_proto(graph.proto))
    cuts = enumerate_cuts(model, graph.outputs)
    places = st.integers(0, len(cuts) - 1)
    lower, upper = sorted((data.draw(places), data.draw(places)))
    inner = [cut for cut in (cuts[lower], cuts[upper]) if 0 < cut.position < len(cuts) - 1]
    bounds = [
        tuple(value.name or "" for value in model.graph.inputs),
        *(cut.tensors for cut in inner),
        graph.outputs,
    ]
    steps = [pair for pair in pairwise(bounds) if not set(pair[1]) <= set(pair[0])]
    feeds = samples(model, 3)
    segments = [extract_segment(model, *step) for step in steps]
    assert same_bits(run_chain(segments, feeds, graph.outputs), run(model, feeds))


def test_segments_have_typed_interfaces_and_the_models_metadata(tmp_path: Path) -> None:
    model, _ = prepared("residual", tmp_path)
    model.metadata_props["owner"] = "tests"
    segment = extract_segment(model, ["stem"], ["block_0"])
    assert input_specs(segment) == (TensorSpec("stem", "float32", ("batch", 4, 8, 8)),)
    assert output_specs(segment) == (TensorSpec("block_0", "float32", ("batch", 4, 8, 8)),)
    assert (segment.ir_version, segment.opset_imports) == (model.ir_version, {"": 17})
    assert segment.metadata_props == {"owner": "tests"}
    assert len(segment.graph.initializers) == 4


def test_the_source_is_left_alone_and_weights_are_shared(tmp_path: Path) -> None:
    model, _ = prepared("transformer", tmp_path)
    before = model_bytes(model)
    sendable = [
        cut for cut in enumerate_cuts(model, ["y"])[1:-1] if all(spec_of(model, name) for name in cut.tensors)
    ]
    for cut in sendable:
        for segment in chain(model, ["y"], (cut,)):
            for name, value in segment.graph.initializers.items():
                source = model.graph.initializers.get(name)
                assert source is None or source.const_value is value.const_value
    assert model_bytes(model) == before


def test_batch_dependent_shapes_come_from_the_segments_own_input(tmp_path: Path) -> None:
    model, _ = prepared("transformer", tmp_path)
    top = extract_segment(model, ["embedded"], ["y"])
    shapes_of = {
        node.inputs[0].name for node in top.graph if node.op_type == "Shape" and node.inputs[0] is not None
    }
    assert "x" not in shapes_of
    assert "embedded" in shapes_of
    assert len(top.graph.inputs) == 1


def wide_net() -> Net:
    """Make `wide` of shape [batch, 2*batch, 3, 4], which nothing but shapes reads, beside x -> middle -> y."""
    net = Net()
    doubled = net.op("Transpose", net.op("Concat", "x", "x", axis=0), perm=[1, 0])
    square = net.op("Unsqueeze", net.op("MatMul", "x", doubled), net.const([2, 3]))
    net.op("Expand", square, net.const([1, 1, 3, 4]), out="wide")
    net.op("Neg", net.op("Relu", "x", out="middle"), out="y")
    return net


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [({}, [5, 10, 3, 4]), ({"start": 1}, [10, 3, 4]), ({"start": -3, "end": -1}, [10, 3]), ({"start": 2}, [3, 4])],
)
def test_shape_and_size_are_rebuilt(attributes: dict[str, int], expected: list[int], tmp_path: Path) -> None:
    net = wide_net()
    net.op("Shape", "wide", out="shape", **attributes)
    net.op("Size", "wide", out="size")
    proto = net.proto({"x": ["N", 1]}, {"y": ["N", 1]})
    proto.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in ("shape", "size"))
    model = observe(loaded(proto, tmp_path))
    feeds = samples(model, 5)
    whole = run(model, feeds)
    assert whole["shape"].tolist() == expected
    middle = run(extract_segment(model, ["x"], ["middle"]), feeds)
    assert same_bits(run(extract_segment(model, ["middle"], ["y", "shape", "size"]), middle), whole)


def test_a_shape_that_depends_on_nothing_becomes_an_initialiser(tmp_path: Path) -> None:
    net = wide_net()
    net.op("Shape", "wide", out="shape", start=2)
    net.op(
        "Reshape", net.op("Tile", "middle", net.const([1, 12])), net.op("Concat", net.const([-1]), "shape", axis=0)
    )
    net.op("Identity", net.nodes[-1].output[0], out="tiles")
    model = observe(loaded(net.proto({"x": ["N", 1]}, {"tiles": ["N", 3, 4]}), tmp_path))
    top = extract_segment(model, ["middle"], ["tiles"])
    assert not any(node.op_type == "Shape" for node in top.graph)
    feeds = samples(model, 2)
    middle = run(extract_segment(model, ["x"], ["middle"]), feeds)
    assert same_bits(run(top, middle), run(model, feeds))


def test_shapes_on_record_are_needed(tmp_path: Path) -> None:
    model = loaded(transformer(), tmp_path)
    with pytest.raises(ModelError, match="'embedded' has no element type and shape on record; call record_shapes"):
        extract_segment(model, ["embedded"], ["y"])


def test_a_batch_dependent_shape_needs_a_batch_axis_below(tmp_path: Path) -> None:
    net = Net()
    total = net.op("ReduceSum", "x", net.const([0]), keepdims=0, out="total")
    net.op("Expand", total, net.op("Shape", "x"), out="y")
    model = observe(loaded(net.proto({"x": ["N", 4]}, {"y": ["N", 4]}), tmp_path))
    with pytest.raises(ModelError, match=r"none of its inputs \['total'\] has a batch axis"):
        extract_segment(model, ["total"], ["y"])


def test_sizes_that_follow_from_values_cross_as_data(tmp_path: Path) -> None:
    """The count of non-zeros cannot be rebuilt above, so its Shape is data and crosses."""
    net = Net()
    count = net.op("Shape", net.op("NonZero", "x"), start=1, out="count")
    net.op("Mul", net.op("Relu", "x", out="middle"), net.op("Cast", count, to=TensorProto.FLOAT), out="y")
    model = observe(loaded(net.proto({"x": ["N", 4]}, {"y": ["N", 4]}), tmp_path))
    cut = next(cut for cut in enumerate_cuts(model, ["y"]) if set(cut.tensors) == {"count", "middle"})
    feeds = samples(model, 3)
    feeds["x"][0, :2] = 0
    split = run_chain(chain(model, ["y"], (cut,)), feeds, ["y"])
    assert same_bits(split, run(model, feeds))
    assert not any(spec_of(model, value.name) for node in model.graph[:1] for value in node.outputs)


def test_a_segment_can_be_cut_again(tmp_path: Path) -> None:
    model, _ = prepared("transformer", tmp_path)
    feeds = samples(model, 3)
    upper = extract_segment(model, ["embedded"], ["y"])
    segments = [
        extract_segment(model, ["x"], ["embedded"]),
        extract_segment(upper, ["embedded"], ["block_0"]),
        extract_segment(extract_segment(upper, ["block_0"], ["y"]), ["block_0"], ["y"]),
    ]
    assert same_bits(run_chain(segments, feeds, ["y"]), run(model, feeds))


def test_what_passes_through_is_left_out(tmp_path: Path) -> None:
    model, _ = prepared("two_inputs", tmp_path)
    segment = extract_segment(model, ["z", "early"], ["z", "top", "bottom", "early"])
    assert [value.name for value in segment.graph.inputs] == ["z", "early"]
    assert [value.name for value in segment.graph.outputs] == ["top", "bottom"]
    with pytest.raises(ModelError, match="no outputs remain"):
        extract_segment(model, ["z", "early"], ["early"])


def test_a_boundary_that_does_not_bound_names_what_is_missing(tmp_path: Path) -> None:
    model, _ = prepared("residual", tmp_path)
    inner = next(node for node in model.graph if node.op_type == "Add").inputs[0]
    assert inner is not None
    with pytest.raises(ModelError, match=r"missing \['stem'\]"):
        extract_segment(model, [inner.name or ""], ["y"])
    with pytest.raises(ModelError, match=r"missing \['stem'\]"):
        extract_segment(model, ["block_0"], ["stem"])
    other, _ = prepared("two_inputs", tmp_path)
    with pytest.raises(ModelError, match=r"missing \['bottom', 'z'\]"):
        extract_segment(other, ["top"], ["y"])
    with pytest.raises(ModelError, match=r"missing \['bottom'\]"):
        extract_segment(other, ["x", "z", "top"], ["y"])
    with pytest.raises(ModelError, match="missing"):
        extract_segment(other, ["z"], ["early"])


def test_inputs_are_data_and_known(tmp_path: Path) -> None:
    model, _ = prepared("transformer", tmp_path)
    with pytest.raises(ModelError, match="'mask' is constant or derived from shapes"):
        extract_segment(model, ["embedded", "mask"], ["y"])
    with pytest.raises(NotFoundError, match="did you mean 'embedded'"):
        extract_segment(model, ["embeded"], ["y"])


def test_lower_tensors_may_be_computed_again_from_the_input(tmp_path: Path) -> None:
    model, _ = prepared("residual", tmp_path)
    feeds = samples(model, 2)
    assert same_bits(run(extract_segment(model, ["x"], ["y"]), feeds), run(model, feeds))
    assert len(loaded(residual(), tmp_path).graph) == len(extract_segment(model, ["x"], ["y"]).graph)
