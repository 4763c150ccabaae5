"""Heads attached to models: what the model answers stays, and an exit stands for all of it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from splitnet.graph import output_specs
from splitnet.learn.heads import AttachedExit, Ending, Head, Layers, Place, Scaling, attach, ending_of, places_for
from splitnet.tensors import Array, Tensors
from tests.graph.models import Net
from tests.graph.running import observe, run
from tests.learn.heads.models import FEATURES, convolutional, observed, perceptron, scores

X = np.random.default_rng(1).standard_normal((6, FEATURES)).astype(np.float32)

End = Callable[[Net, str], Sequence[str]]


def seeded(place: Place, classes: int, seed: int = 0) -> Head:
    generator = np.random.default_rng(seed)
    count = place.form.features
    scaling = Scaling(
        generator.standard_normal(count, np.float32), generator.uniform(0.5, 2, count).astype(np.float32)
    )
    return Head(place.form, scaling, Layers.seeded(count, classes, seed=seed))


def with_exits(model: ir.Model) -> tuple[Ending, list[Head], tuple[AttachedExit, ...]]:
    ending = ending_of(model)
    heads = [seeded(place, ending.classes, seed) for seed, place in enumerate(places_for(model, ending))]
    return ending, heads, attach(model, ending, heads)


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    likely: Array = powers / powers.sum(axis=1, keepdims=True)
    return likely


def answers(
    proto: onnx.ModelProto, folder: Path, feeds: Tensors
) -> tuple[Tensors, list[tuple[AttachedExit, Array]]]:
    """What a model with exits answers, and each exit with the logits that its head has by numpy."""
    before = run(observed(proto, folder), feeds)
    model = observed(proto, folder)
    tensors = [place.tensor for place in places_for(model, ending_of(model))]
    _, heads, attached = with_exits(model)
    made = run(observe(model), feeds)
    for name, array in before.items():
        np.testing.assert_array_equal(made[name], array)
    inner = run(_with_outputs(model, tensors), feeds)
    logits = [head.layers(head.scaling(inner[name])) for head, name in zip(heads, tensors, strict=True)]
    return made, list(zip(attached, logits, strict=True))


def _with_outputs(model: ir.Model, names: Sequence[str]) -> ir.Model:
    values = ir.convenience.create_value_mapping(model.graph)
    model.graph.outputs.extend(values[name] for name in names)
    return model


@pytest.mark.parametrize("opset", [13, 17, 18, 21])
def test_an_exit_has_the_logits_of_its_head(opset: int, tmp_path: Path) -> None:
    made, exits = answers(perceptron(opset=opset), tmp_path, {"x": X})
    assert len(exits) == 2
    for number, (attached, logits) in enumerate(exits, start=1):
        assert attached == AttachedExit({"logits": f"exit{number}_logits"}, f"exit{number}.confidence")
        np.testing.assert_allclose(made[attached.outputs["logits"]], logits, atol=1e-5)
        np.testing.assert_allclose(made[attached.confidence], softmax(logits).max(axis=1), atol=1e-6)


def everything(net: Net, last: str) -> list[str]:
    logits = scores(net, last, "logits")
    likely = net.op("Softmax", logits, axis=-1, out="likely")
    net.op("ReduceMax", likely, axes=[1], keepdims=0, out="sure")
    net.op("ArgMax", logits, axis=1, keepdims=0, out="answer")
    return ["answer", "likely", "sure", "logits"]


def test_what_is_made_of_the_scores_is_made_of_the_exit_s_too(tmp_path: Path) -> None:
    proto = perceptron(everything, integers=["answer"], shapes={"answer": ["N"], "sure": ["N"]})
    made, exits = answers(proto, tmp_path, {"x": X})
    for attached, logits in exits:
        early = {name: made[stand_in] for name, stand_in in attached.outputs.items()}
        np.testing.assert_allclose(early["logits"], logits, atol=1e-5)
        np.testing.assert_allclose(early["likely"], softmax(logits), atol=1e-6)
        np.testing.assert_array_equal(early["answer"], logits.argmax(axis=1))
        np.testing.assert_array_equal(early["sure"], made[attached.confidence])


def test_an_exit_has_the_types_and_shapes_of_what_it_stands_for(tmp_path: Path) -> None:
    proto = perceptron(everything, integers=["answer"], shapes={"answer": ["N"], "sure": ["N"]})
    model = observed(proto, tmp_path)
    _, _, attached = with_exits(model)
    specs = {spec.name: spec for spec in output_specs(observe(model))}
    for name, stand_in in attached[0].outputs.items():
        assert (specs[stand_in].dtype, specs[stand_in].shape) == (specs[name].dtype, specs[name].shape)
    assert (specs[attached[0].confidence].dtype, specs[attached[0].confidence].shape) == ("float32", ("batch",))


def test_probabilities_by_hand_get_a_softmax(tmp_path: Path) -> None:
    def by_hand(net: Net, last: str) -> list[str]:
        powers = net.op("Exp", scores(net, last))
        return [net.op("Div", powers, net.op("ReduceSum", powers, net.const([1])), out="y")]

    model = observed(perceptron(by_hand), tmp_path)
    ending = ending_of(model).judged_by(run(model, {"x": X})["y"])
    (place, *_) = places_for(model, ending)
    (attached,) = attach(model, ending, [seeded(place, ending.classes)])
    made = run(observe(model), {"x": X})
    np.testing.assert_allclose(made[attached.outputs["y"]].sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(made[attached.outputs["y"]].max(axis=1), made[attached.confidence], atol=1e-6)


def test_names_that_are_taken_are_left_alone(tmp_path: Path) -> None:
    proto = perceptron(lambda net, last: [net.op("Identity", scores(net, last, "exit1_logits"), out="exit2")])
    made, exits = answers(proto, tmp_path, {"x": X})
    assert [attached.confidence for attached, _ in exits] == ["exit_1.confidence", "exit_2.confidence"]
    assert set(made) == {"exit2", *(name for one, _ in exits for name in (*one.outputs.values(), one.confidence))}


def test_images_are_pooled_in_the_model_too(tmp_path: Path) -> None:
    model = observed(convolutional(), tmp_path)
    ending, heads, attached = with_exits(model)
    feeds = {"x": np.random.default_rng(0).standard_normal((3, 3, 20, 14)).astype(np.float32)}
    made = run(observe(model), feeds)
    assert [head.form.cells for head in heads] == [(4, 4)] * len(heads)
    for one in attached:
        assert made[one.outputs["logits"]].shape == (3, ending.classes)
        assert ((made[one.confidence] > 1 / ending.classes) & (made[one.confidence] <= 1)).all()
