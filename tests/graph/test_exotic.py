"""What other exporters, converters and optimisers write is cut as well, to the bit, or refused in words."""

from collections.abc import Callable
from pathlib import Path

import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper

from splitnet.errors import ModelError
from splitnet.graph import Cut, enumerate_cuts, fix_axes, load_model, spec_of
from tests.graph import exotic, interfaces
from tests.graph.exotic import EXOTIC, MIXING
from tests.graph.exotic_parts import row, sequence
from tests.graph.models import Net, loaded, residual, samples, transformer
from tests.graph.running import BASIC, chain, compacted, observe, run, run_chain, same_bits
from tests.graph.test_load import external
from tests.graph.test_split_equals_whole import pairs, sendable


def ends(model: ir.Model) -> list[str]:
    return list(dict.fromkeys(value.name or "" for value in model.graph.outputs))


def cut_everywhere(model: ir.Model) -> list[tuple[Cut, ...]]:
    """Single cuts and pairs of them; a third of those of the larger models."""
    cuts = sendable(model, enumerate_cuts(model, ends(model)))
    chosen: list[tuple[Cut, ...]] = [(cut,) for cut in cuts]
    chosen += pairs(cuts)
    return chosen if len(chosen) < 20 else chosen[::3]


def check_split(model: ir.Model, *, batches: tuple[int, ...] = (1, 3), level: object = BASIC) -> None:
    """Cut an observed model at every place, and at pairs of places, and compare with the whole."""
    wholes = {batch: run(model, samples(model, batch), level) for batch in batches}
    for cuts in cut_everywhere(model):
        segments = chain(model, ends(model), cuts)
        for batch in batches:
            split = run_chain(segments, samples(model, batch), ends(model), level)
            assert same_bits(split, wholes[batch]), cuts


@pytest.mark.parametrize("name", EXOTIC)
def test_it_splits_to_the_bit(name: str, tmp_path: Path) -> None:
    build, count = EXOTIC[name]
    model = observe(loaded(build(), tmp_path))
    assert len(sendable(model, enumerate_cuts(model, ends(model)))) == count
    check_split(model)


@pytest.mark.parametrize("name", sorted(EXOTIC.keys() - MIXING))
def test_a_smaller_batch_goes_on(name: str, tmp_path: Path) -> None:
    model = observe(loaded(EXOTIC[name][0](), tmp_path))
    which, feeds, names = [0, 2, 3], samples(model, 5), ends(model)
    own = [name for name in names if (spec := spec_of(model, name)) is not None and spec.batch_axis is not None]
    whole = compacted(model, {name: array for name, array in run(model, feeds).items() if name in own}, which)
    for cut in sendable(model, enumerate_cuts(model, own)):
        bottom, top = chain(model, own, (cut,))
        held = run_chain([bottom], feeds, cut.tensors)
        assert same_bits(run_chain([top], compacted(top, held, which), own), whole), cut


def test_a_batch_of_one_is_a_batch_of_one(tmp_path: Path) -> None:
    model = observe(loaded(interfaces.batch_of_one(), tmp_path), batches=(1,))
    assert cut_everywhere(model)
    check_split(model, batches=(1,))


def test_a_batch_that_the_model_only_claims_to_have_can_be_fixed(tmp_path: Path) -> None:
    net = Net()
    net.op("Neg", net.op("Reshape", net.op("Relu", "x"), net.const([1, 4])), out="y")
    model = loaded(row(net, "y"), tmp_path)
    fix_axes(model, {"N": 1})
    observe(model, batches=(1,))
    assert len(cut_everywhere(model)) == 3
    check_split(model, batches=(1,))


@pytest.mark.parametrize("opset", range(13, 27))
def test_every_opset_from_13_on_is_cut(opset: int, tmp_path: Path) -> None:
    proto = residual()
    proto.opset_import[0].version = opset
    model = observe(loaded(proto, tmp_path))
    assert len(cut_everywhere(model)) == 10
    check_split(model, batches=(2,))


def test_weights_in_another_file_are_cut_as_they_are(tmp_path: Path) -> None:
    model = observe(load_model(external(tmp_path)))
    assert any(isinstance(value.const_value, ir.ExternalTensor) for value in model.graph.initializers.values())
    check_split(model)


def optimised(proto: onnx.ModelProto, folder: Path, level: object) -> ir.Model:
    """Let onnxruntime write the model as it rewrites it for itself."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return load_model(folder / "optimised.onnx")


EXTENDED = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED


@pytest.mark.parametrize(
    ("build", "level", "operators"),
    [(residual, EXTENDED, {"FusedConv"}), (transformer, EXTENDED, {"FusedGemm"})],
)
def test_operators_that_an_optimiser_fused_keep_their_domain(
    build: Callable[[], onnx.ModelProto], level: object, operators: set[str], tmp_path: Path
) -> None:
    model = observe(optimised(build(), tmp_path, level))
    assert {node.op_type for node in model.graph if node.domain == "com.microsoft"} == operators
    check_split(model)
    for segment in (segment for cuts in cut_everywhere(model) for segment in chain(model, ["y"], cuts)):
        domains = {node.domain for node in segment.graph}
        assert domains <= segment.graph.opset_imports.keys()


def no_cut_inside() -> onnx.ModelProto:
    net = Net()
    net.op("Relu", "x", out="y")
    return row(net, "y")


def test_a_single_node_has_no_cut_inside(tmp_path: Path) -> None:
    cuts = enumerate_cuts(observe(loaded(no_cut_inside(), tmp_path)), ["y"])
    assert [cut.tensors for cut in cuts] == [("x",), ()]


def sequence_output() -> onnx.ModelProto:
    net = Net()
    net.op("SplitToSequence", "x", axis=1, out="parts")
    proto = net.proto({"x": ["N", 4]}, {})
    proto.graph.output.append(sequence("parts"))
    return proto


def map_output() -> onnx.ModelProto:
    net = Net()
    net.op("ZipMap", "x", domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2, 3], out="y")
    proto = net.proto({"x": ["N", 4]}, {})
    value = onnx.ValueInfoProto(name="y")
    value.type.sequence_type.elem_type.map_type.key_type = TensorProto.INT64
    value.type.sequence_type.elem_type.map_type.value_type.tensor_type.elem_type = TensorProto.FLOAT
    proto.graph.output.append(value)
    return proto


def sparse_constant() -> onnx.ModelProto:
    net = Net()
    values, places = (helper.make_tensor("", kind, [1], [2]) for kind in (TensorProto.FLOAT, TensorProto.INT64))
    net.ops("Constant", outs=["c"], sparse_value=helper.make_sparse_tensor(values, places, [4]))
    net.op("Add", "x", "c", out="y")
    return row(net, "y")


def function_of_another_opset() -> onnx.ModelProto:
    return exotic.nested_functions(13)


def tensor_made_twice() -> onnx.ModelProto:
    net = Net()
    net.op("Neg", "x", out="h")
    net.op("Abs", "x", out="h")
    net.op("Relu", "h", out="y")
    return row(net, "y")


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (sequence_output, r"output 'parts' is of type Sequence\(.*; only tensors can be sent"),
        (map_output, "Map types are not supported"),
        (sparse_constant, "Sparse tensors are not supported"),
        (function_of_another_opset, "version 17 in the model but version 13 in the function"),
        (tensor_made_twice, "'h' is redeclared"),
    ],
)
def test_what_cannot_be_cut_is_refused(build: Callable[[], onnx.ModelProto], said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        loaded(build(), tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "model.onnx"))
    assert "\n" not in str(caught.value)
