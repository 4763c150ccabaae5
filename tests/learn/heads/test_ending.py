"""How classifiers end, and which endings an exit cannot stand for."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from splitnet.errors import ModelError
from splitnet.learn.heads import ending_of
from tests.graph.models import Net
from tests.learn.heads.models import CLASSES, WIDTH, make_model, observed, perceptron, scores


def test_logits_are_the_end(tmp_path: Path) -> None:
    found = ending_of(observed(perceptron(), tmp_path))
    assert (found.scores, found.logits, found.normalised, found.classes) == ("logits", "logits", False, CLASSES)
    assert (found.outputs, found.nodes) == (("logits",), ())


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
def test_probabilities_are_made_of_logits(operator: str, tmp_path: Path) -> None:
    proto = perceptron(lambda net, last: [net.op(operator, scores(net, last, "inner"), axis=1, out="y")])
    found = ending_of(observed(proto, tmp_path))
    assert (found.scores, found.logits, found.normalised, found.nodes) == ("y", "inner", True, ("n_y",))


def test_what_is_made_of_the_scores_alone_belongs_to_the_end(tmp_path: Path) -> None:
    def end(net: Net, last: str) -> list[str]:
        logits = scores(net, last, "logits")
        likely = net.op("Softmax", logits, axis=-1, out="likely")
        net.op("ReduceMax", likely, axes=[1], keepdims=0, out="sure")
        net.op("ArgMax", logits, axis=1, keepdims=0, out="answer")
        return ["sure", "answer", "likely", "logits"]

    proto = perceptron(end, integers=["answer"], shapes={"sure": ["N"], "answer": ["N"]})
    found = ending_of(observed(proto, tmp_path))
    # The first that is [batch, classes] holds the scores, and the softmax behind them tells the logits.
    assert (found.scores, found.logits) == ("likely", "logits")
    assert found.outputs == ("likely", "sure", "answer", "logits")
    assert set(found.nodes) == {"n_likely", "n_sure", "n_answer"}


def refused(proto: object, folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        ending_of(observed(proto, folder))  # type: ignore[arg-type]  # a ModelProto
    return str(caught.value)


def test_an_output_that_is_no_answer_has_no_stand_in(tmp_path: Path) -> None:
    proto = perceptron(lambda net, last: [scores(net, last, "y"), net.op("Tanh", last, out="embedding")])
    proto.graph.output[1].type.tensor_type.shape.dim[1].dim_value = WIDTH
    assert "output 'embedding' is not made of the class scores 'y' alone" in refused(proto, tmp_path)


def test_an_input_that_is_an_output_has_no_stand_in(tmp_path: Path) -> None:
    proto = perceptron(lambda net, last: [scores(net, last, "y"), "x"], shapes={"x": ["N", 12]})
    assert "output 'x' is not made of" in refused(proto, tmp_path)


def test_what_is_no_classifier_is_refused(tmp_path: Path) -> None:
    proto = perceptron(lambda net, last: [net.op("ReduceMean", last, axes=[1], out="y")], shapes={"y": ["N", 1]})
    assert "only a classifier can be given an exit: none of its outputs ('y' float32['batch', 1])" in refused(
        proto, tmp_path
    )


def test_a_sigmoid_answers_several_classes(tmp_path: Path) -> None:
    proto = perceptron(lambda net, last: [net.op("Sigmoid", scores(net, last), out="y")])
    assert "output 'y' is a sigmoid" in refused(proto, tmp_path)


def test_scores_in_half_precision_are_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["small"], name="cast", to=TensorProto.FLOAT16),
        helper.make_node("Exp", ["small"], ["y"], name="exp"),
    ]
    proto = make_model(nodes, {"x": TensorProto.FLOAT}, {"y": TensorProto.FLOAT16})
    assert "the class scores 'y' are float16; heads are trained in float32" in refused(proto, tmp_path)


def test_probabilities_that_no_softmax_made_are_told_by_their_sums(tmp_path: Path) -> None:
    found = ending_of(observed(perceptron(), tmp_path))
    likely = np.random.default_rng(0).dirichlet(np.ones(CLASSES), 50).astype(np.float32)
    assert found.judged_by(likely).is_bare
    np.testing.assert_array_equal(found.judged_by(likely).likely(likely), likely)
    logits = np.log(likely) + 3
    assert not found.judged_by(logits).is_bare
    np.testing.assert_allclose(found.judged_by(logits).likely(logits), likely, rtol=1e-5)


def test_a_second_classifier_has_no_stand_in(tmp_path: Path) -> None:
    proto = perceptron(lambda net, last: [scores(net, last, "y"), scores(net, last, "other")])
    assert "output 'other' is not made of the class scores 'y' alone" in refused(proto, tmp_path)
