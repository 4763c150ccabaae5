"""Jobs that train an exit for a classifier without one: what is kept apart, what comes out, what is refused."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

from splitnet.cost import default_site
from splitnet.errors import InvalidArgumentError, ModelError
from splitnet.exits import leaves
from splitnet.learn.heads import divide, samples_needed
from splitnet.partition import PartitionOptions
from splitnet.partition.analysis import Analysis, analyse
from splitnet.partition.whole import WholeModel
from splitnet.samples import Samples, read_samples
from splitnet.tensors import Array, Tensors
from tests.graph.models import Net
from tests.learn.heads.models import CLASSES, FEATURES, convolutional, masked, perceptron, scores
from tests.partition.jobs import answers, calibration, feeds, job, run_segments, run_whole

EPSILON = 0.05
COUNT = 700
HELD_OUT = 350
EXAMPLE = Path(__file__).parents[2] / "examples" / "pcb_inspection"


def inputs(count: int = COUNT, seed: int = 0) -> Array:
    made: Array = np.random.default_rng(seed).standard_normal((count, FEATURES)).astype(np.float32)
    return made


def analysed(
    model: onnx.ModelProto | Path,
    folder: Path,
    arrays: Any,
    on_training: Callable[[float], None] = lambda _share: None,
    **options: Any,
) -> Analysis:
    """The model with exits trained on `arrays`, which may be the path of a file of them."""
    path = model if isinstance(model, Path) else folder / "model.onnx"
    if isinstance(model, onnx.ModelProto):
        path.write_bytes(model.SerializeToString())
    given: dict[str, Any] = {"trainable": "exits", "epsilon": EPSILON} | options
    data = arrays if isinstance(arrays, Path) else calibration(folder, **arrays)
    job_of = PartitionOptions(path, folder / "out.split", default_site(), calibration=data, **given)
    return analyse(job_of, on_training)


def outcome(analysis: Analysis, tensors: Tensors, labels: Array | None, output: str) -> tuple[float, float]:
    """The share of samples that leave at an exit, and the share that this costs."""
    count = len(next(iter(tensors.values())))
    samples = Samples(analysis.inputs, tensors, None, count)
    made = WholeModel(analysis.model, samples).answers(count)
    final = made[output].argmax(axis=1)
    truth = final if labels is None else labels
    gone, costly = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    for head in analysis.exits.heads:
        assert head.threshold is not None
        going = leaves(made[head.confidence], head.threshold) & ~gone
        costly |= going & (final == truth) & (made[head.outputs[output]].argmax(axis=1) != truth)
        gone |= going
    return float(gone.mean()), float(costly.mean())


def rows(samples: Samples) -> set[bytes]:
    return {row.tobytes() for row in samples.inputs["x"]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return analysed(perceptron(), tmp_path_factory.mktemp("trained"), {"x": inputs()})


def test_samples_that_train_are_used_for_nothing_else(trained: Analysis, tmp_path: Path) -> None:
    everything = read_samples(calibration(tmp_path, x=inputs()), trained.inputs)
    parts = divide(everything, held_out=HELD_OUT, seed=0)
    assert trained.samples.count == trained.whole.samples.count == HELD_OUT
    assert rows(trained.samples) == rows(parts.held_out)
    assert not rows(trained.samples) & rows(parts.training)
    assert {head.calibration and head.calibration.n for head in trained.exits.heads} == {HELD_OUT}


def test_an_exit_stands_for_what_the_model_answers(trained: Analysis) -> None:
    assert trained.output_names == ("logits",)
    head = trained.exits.heads[0]
    assert (head.outputs, head.confidence) == ({"logits": "exit1_logits"}, "exit1.confidence")
    assert trained.specs["exit1_logits"].shape == ("batch", CLASSES)
    assert not {node for node in trained.flow.nodes if node.startswith("exit1.")}


def test_the_promise_holds_on_samples_never_seen(trained: Analysis) -> None:
    share, cost = outcome(trained, {"x": inputs(4000, seed=9)}, None, "logits")
    assert cost <= EPSILON
    assert share > 0.3
    left = trained.exits.survival[frozenset(range(len(trained.exits.heads)))]
    assert share == pytest.approx(1 - left, abs=0.1)


def test_the_same_seed_trains_the_same_exit(trained: Analysis, tmp_path: Path) -> None:
    def parameters(analysis: Analysis) -> dict[str, bytes]:
        weights = analysis.model.graph.initializers.items()
        return {
            name: value.const_value.tobytes()
            for name, value in weights
            if name.startswith("exit") and value.const_value is not None
        }

    again = analysed(perceptron(), tmp_path, {"x": inputs()})
    assert parameters(again) == parameters(trained)
    assert again.exits == trained.exits
    other = analysed(perceptron(), tmp_path, {"x": inputs()}, seed=1)
    assert parameters(other) != parameters(trained)


def test_progress_goes_from_nothing_to_all(tmp_path: Path) -> None:
    heard: list[float] = []
    analysed(perceptron(), tmp_path, {"x": inputs()}, on_training=heard.append)
    assert heard == sorted(heard)
    assert heard[0] > 0
    assert heard[-1] == 1.0


@pytest.mark.parametrize("scope", ["exits", "segment"])
def test_a_package_holds_the_exit_and_how_it_learns(scope: str, tmp_path: Path) -> None:
    model = convolutional()
    images = np.random.default_rng(0).standard_normal((COUNT, 3, 20, 14)).astype(np.float32)
    result = job(
        model,
        tmp_path,
        codec="none",
        cuts=(("narrow",),),
        trainable=scope,
        epsilon=EPSILON,
        calibration=calibration(tmp_path, x=images),
    )
    package, manifest = result.package, result.package.manifest
    assert manifest.model.sha256 == hashlib.sha256((tmp_path / "model.onnx").read_bytes()).hexdigest()
    assert [entry.name for entry in manifest.model.outputs] == ["logits"]
    assert manifest.plan.verification.level == "bit-equal"
    (entry,) = manifest.exits
    assert (entry.segment, entry.outputs) == ("device", {"logits": "exit1_logits"})
    (training,) = manifest.training
    assert (training.segment, training.scope, training.output) == ("device", scope, "exit1_logits")
    learning = {parameter.name for parameter in training.parameters}
    head = {f"exit1.{name}" for name in ("hidden_weight", "hidden_bias", "scores_weight", "scores_bias")}
    assert learning == head if scope == "exits" else learning > head
    given = feeds(package, 5)
    whole = run_whole(tmp_path / "model.onnx", given)
    np.testing.assert_array_equal(answers(package, given)["logits"], whole["logits"])
    assert run_segments(package, given)[0]["exit1_logits"].shape == (5, CLASSES)


def test_probabilities_come_out_of_the_exit_too(tmp_path: Path) -> None:
    proto = perceptron(lambda net, last: [net.op("Softmax", scores(net, last), axis=-1, out="y")])
    analysis = analysed(proto, tmp_path, {"x": inputs()})
    made = analysis.whole.answers(50)
    np.testing.assert_allclose(made["exit1_y"].sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(made["exit1_y"].max(axis=1), made["exit1.confidence"], atol=1e-6)


def test_a_model_of_two_inputs_has_an_exit(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    arrays = {
        "x": generator.standard_normal((2 * COUNT, 5, 8)).astype(np.float32),
        "mask": generator.integers(0, 2, (2 * COUNT, 5, 1)).astype(np.float32),
    }
    analysis = analysed(masked(), tmp_path, {name: array[:COUNT] for name, array in arrays.items()})
    assert analysis.samples.inputs["mask"].shape == (HELD_OUT, 5, 1)
    share, cost = outcome(analysis, {name: array[COUNT:] for name, array in arrays.items()}, None, "y")
    assert share > 0.1
    assert cost <= EPSILON


def test_labels_teach_where_there_are_any(tmp_path: Path) -> None:
    """Of a model that always confuses two classes, labels teach the exit to tell them."""

    def confusing(net: Net, last: str) -> list[str]:
        mixing = net.const(np.eye(CLASSES)[:, [0, 0, 2, 3]], np.float32)
        return [net.op("MatMul", scores(net, last), mixing, out="y")]

    onnx.save(perceptron(), tmp_path / "telling.onnx")
    truth = run_whole(tmp_path / "telling.onnx", {"x": inputs()})["logits"].argmax(axis=1)
    analysis = analysed(perceptron(confusing), tmp_path, {"x": inputs(), "labels": truth})
    made = analysis.whole.answers(HELD_OUT)
    assert analysis.samples.labels is not None
    second = analysis.samples.labels == 1
    assert second.sum() > 20
    final, early = made["y"].argmax(axis=1), made["exit1_y"].argmax(axis=1)
    assert not (final[second] == 1).any()
    assert (early[second] == 1).mean() > 0.25


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no annotations
    def __init__(self, batches: list[Tensors]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> Tensors | None:
        return next(self._batches, None)


def test_a_quantised_model_stays_equal_to_the_bit(tmp_path: Path) -> None:
    images = np.random.default_rng(0).standard_normal((COUNT, 3, 20, 14)).astype(np.float32)
    onnx.save(convolutional(), tmp_path / "float.onnx")
    logging.disable(logging.WARNING)  # The quantiser advises on the root logger.
    quantize_static(
        tmp_path / "float.onnx",
        tmp_path / "model.onnx",
        _Reader([{"x": images[:64]}]),
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    logging.disable(logging.NOTSET)
    path = tmp_path / "model.onnx"
    analysis = analysed(path, tmp_path, {"x": images})
    assert analysis.quantised
    share, cost = outcome(analysis, {"x": images[:200]}, None, "logits")
    assert share > 0
    assert cost <= EPSILON
    first = next(node for node in analysis.model.graph if (node.name or "").startswith("exit1."))
    assert first.op_type == "DequantizeLinear"
    read = first.inputs[0]
    assert read is not None
    assert read.name in analysis.quantised
    data = tmp_path / "calibration.npz"
    result = job(path, tmp_path, cuts=((read.name,),), trainable="exits", epsilon=EPSILON, calibration=data)
    assert [entry.segment for entry in result.package.manifest.exits] == ["device"]
    assert result.package.manifest.plan.verification.level == "bit-equal"


def test_a_head_that_learns_nothing_is_said_to_be_useless(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer turns on the last bits of a number of which no head can see them."""

    def chaotic(net: Net, last: str) -> list[str]:
        large = net.op("Mul", net.op("ReduceSum", last, net.const([1]), keepdims=1), net.const(1e5, np.float32))
        turned = net.op("Mul", large, net.const([[1, 1.7, 2.3, 3.1]], np.float32))
        return [net.op("Sin", turned, out="y")]

    with caplog.at_level(logging.WARNING, logger="splitnet"):
        analysis = analysed(perceptron(chaotic), tmp_path, {"x": inputs()})
    shares = [head.calibration.share for head in analysis.exits.heads if head.calibration is not None]
    assert all(share < 0.05 for share in shares)
    assert "exit1.confidence" in caplog.text


def refused(proto: onnx.ModelProto, folder: Path, error: type[Exception] = ModelError, **given: Any) -> str:
    with pytest.raises(error) as caught:
        analysed(proto, folder, {"x": inputs()} | given.pop("arrays", {}), **given)
    return str(caught.value)


def test_without_calibration_no_exit_is_trained(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(perceptron().SerializeToString())
    options = PartitionOptions(tmp_path / "model.onnx", tmp_path / "out.split", default_site(), trainable="exits")
    with pytest.raises(InvalidArgumentError, match="the model has no exits: give --calibration data to train one"):
        analyse(options)


def test_too_few_samples_are_refused_with_the_number_needed(tmp_path: Path) -> None:
    needed = samples_needed(1, epsilon=EPSILON, delta=0.05)
    message = refused(perceptron(), tmp_path, InvalidArgumentError, arrays={"x": inputs(needed + 20)})
    assert f"takes {needed + 64} calibration samples, {needed} of them kept from it" in message
    assert f"got {needed + 20}" in message


def test_few_samples_keep_what_a_threshold_needs(tmp_path: Path) -> None:
    needed = samples_needed(1, epsilon=0.02, delta=0.05)
    analysis = analysed(perceptron(), tmp_path, {"x": inputs(needed + 64)}, epsilon=0.02)
    assert analysis.samples.count == needed


def test_labels_that_are_no_classes_are_refused(tmp_path: Path) -> None:
    arrays = {"labels": np.full(COUNT, CLASSES)}
    assert "expected classes from 0 to 3" in refused(perceptron(), tmp_path, InvalidArgumentError, arrays=arrays)


def test_a_model_of_a_fixed_batch_is_refused(tmp_path: Path) -> None:
    proto = perceptron()
    for info in (*proto.graph.input, *proto.graph.output):
        info.type.tensor_type.shape.dim[0].dim_value = 1
    arrays = {"x": inputs(1)}
    assert "takes one sample at a time" in refused(proto, tmp_path, arrays=arrays)


def test_what_is_no_number_teaches_nothing(tmp_path: Path) -> None:
    proto = perceptron(lambda net, last: [net.op("Log", scores(net, last), out="y")])
    assert "tensor 'y' holds NaN or infinity on calibration samples" in refused(proto, tmp_path)


def test_a_half_precision_model_is_refused_with_a_reason(tmp_path: Path) -> None:
    proto = perceptron()
    for weight in proto.graph.initializer:
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name))
    for info in (*proto.graph.input, *proto.graph.output):
        info.type.tensor_type.elem_type = TensorProto.FLOAT16
    message = refused(proto, tmp_path, arrays={"x": inputs().astype(np.float16)})
    assert "the class scores 'logits' are float16; heads are trained in float32" in message


@pytest.mark.parametrize("change", [{"trainable": "none"}, {"trainable": "none", "use_exits": False}], ids=str)
def test_exits_are_trained_only_where_that_is_asked_for(change: dict[str, Any], tmp_path: Path) -> None:
    analysis = analysed(perceptron(), tmp_path, {"x": inputs()}, **change)
    assert analysis.exits.heads == ()
    assert analysis.samples.count == COUNT


def test_the_example_without_its_exits_gets_one_that_answers_most_tiles(tmp_path: Path) -> None:
    model = onnx.load(EXAMPLE / "model.onnx")
    del model.metadata_props[:]
    kept = [output for output in model.graph.output if output.name in ("logits", "confidence")]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    analysis = analysed(model, tmp_path, EXAMPLE / "calibration.npz", epsilon=0.005)
    assert analysis.exits.heads[0].outputs == {"logits": "exit1_logits", "confidence": "exit1_confidence"}
    tiles = read_samples(EXAMPLE / "tiles" / "test.npz", analysis.inputs, limit=1000)
    share, cost = outcome(analysis, tiles.inputs, tiles.labels, "logits")
    assert share > 0.9
    assert cost <= 0.005
