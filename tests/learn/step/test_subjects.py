"""What learns and what stays as it is, where a step begins, what its loss is, and what is refused."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from splitnet.errors import ModelError
from splitnet.graph import input_specs, load_model
from splitnet.learn.step import Subject, training_graphs
from splitnet.learn.step.subject import Scope
from splitnet.onnx_session import OnnxSession
from splitnet.package import Optimiser, state_of
from splitnet.partition.samples import samples_for
from splitnet.partition.whole import WholeModel
from tests.graph.models import Net
from tests.learn.step.training import (
    Rates,
    batches,
    initial,
    largest_difference,
    observed,
    train_by_graphs,
    train_by_torch,
)

EXAMPLE = Path(__file__).parents[3] / "examples" / "pcb_inspection"


#: Nodes of the example's first exit.
HEAD = ("node_avg_pool2d", "node_Reshape_283", "node_linear", "node_relu_8")


def example(scope: Scope) -> Subject:
    """The device's exit of the example, which is cut at boundary1."""
    model = load_model(EXAMPLE / "model.onnx")
    samples = samples_for(input_specs(model), EXAMPLE / "calibration.npz", seed=0)
    names = (node.name or "" for node in model.graph)
    trunk = frozenset(name for name in names if scope == "exits" and not name.startswith(HEAD))
    return Subject(
        WholeModel(model, samples).model, "exit1_logits", probabilities=False, scope=scope, frozen=trunk
    )


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("scope", ["exits", "segment"])
def test_the_example_equals_torch(scope: Scope, optimiser: Optimiser) -> None:
    subject = example(scope)
    graphs = training_graphs(subject)
    assert len(graphs.parameters) == (4 if scope == "exits" else 12)
    assert (graphs.features is not None) == (scope == "exits")
    steps = batches(subject.model, 7, 50, sizes=(6, 4))
    rates = Rates(0.01 if optimiser == "sgd" else 0.001, proximal=0.1)
    names = [entry.name for entry in graphs.parameters]
    found, _ = train_by_graphs(subject, graphs, optimiser, steps, rates)
    wanted, _ = train_by_torch(subject, names, optimiser, steps, rates)
    assert largest_difference(found[0], wanted[0]) < 1e-5
    assert largest_difference(found[-1], wanted[-1]) < 1e-4
    assert largest_difference(found[-1], initial(subject, graphs)) > 1e-3


def test_a_step_has_the_inputs_and_outputs_that_are_specified() -> None:
    subject = example("exits")
    graphs = training_graphs(subject)
    parameters = [entry.name for entry in graphs.parameters]
    scalars = {"sgd": ["train/momentum"], "adam": []}
    for optimiser, content in graphs.steps.items():
        session = OnnxSession(content, name=optimiser)
        state = [entry.name for entry in state_of(optimiser, graphs.parameters)]
        train = [f"train/{name}" for name in ("targets", "weights", "learning_rate", "proximal")]
        anchors = [f"anchor/{name}" for name in parameters]
        inputs = [spec.name for spec in graphs.inputs]
        assert set(session.inputs) == {*inputs, *parameters, *state, *anchors, *train, *scalars[optimiser]}
        assert set(session.outputs) == {f"next/{name}" for name in (*parameters, *state)} | {
            "train/loss",
            "train/scores",
        }


def test_features_and_step_answer_as_the_exit_does() -> None:
    subject = example("exits")
    graphs = training_graphs(subject)
    (step,) = batches(subject.model, 7, 1, sizes=(4,))
    assert graphs.features is not None
    features = OnnxSession(graphs.features, name="features").run(step.inputs)
    assert features.keys() == {spec.name for spec in graphs.inputs}
    for spec in graphs.inputs:
        assert spec.check(features[spec.name]) == 4
    whole = OnnxSession((EXAMPLE / "model.onnx").read_bytes(), name="whole").run(step.inputs)["exit1_logits"]
    values = initial(subject, graphs)
    fed = {f"anchor/{name}": array for name, array in values.items()}
    fed |= {
        entry.name: np.zeros([int(size) for size in entry.shape], np.float32)
        for entry in state_of("sgd", graphs.parameters)
    }
    fed |= dict.fromkeys(("train/learning_rate", "train/momentum", "train/proximal"), np.array(0, np.float32))
    fed |= {"train/targets": step.targets, "train/weights": step.weights}
    made = OnnxSession(graphs.steps["sgd"], name="step").run({**features, **values, **fed})
    np.testing.assert_allclose(made["train/scores"], whole, rtol=0, atol=1e-5 * np.abs(whole).max())
    for name, array in values.items():
        np.testing.assert_array_equal(made[f"next/{name}"], array)


def small(ending: Sequence[str] = (), *, batch: int | str = "N") -> onnx.ModelProto:
    """Two linear layers; `low` is `[batch, 6]`, and further operators may follow the logits `[batch, 3]`."""
    net = Net()
    low = net.op("Tanh", net.op("MatMul", "x", net.weight(4, 6), out="product"), out="low")
    net.op("Relu", low, out="trunk")
    hidden = net.op("Add", net.op("MatMul", low, net.weight(6, 5)), net.weight(5))
    at = net.op("Gemm", hidden, net.weight(5, 3), net.weight(3), out="z")
    for number, operator in enumerate(ending):
        at = net.op(operator, at, out=f"end_{number}")
    return net.proto({"x": [batch, 4]}, {"trunk": [batch, 6], at: [batch, 3]})


TRUNK = frozenset({"n_product", "n_low", "n_trunk"})


def test_the_exits_scope_begins_where_the_first_parameter_acts(tmp_path: Path) -> None:
    model = observed(small(), tmp_path)
    graphs = training_graphs(Subject(model, "z", probabilities=False, scope="exits", frozen=TRUNK))
    assert [spec.name for spec in graphs.inputs] == ["low"]
    assert [entry.shape for entry in graphs.parameters] == [(6, 5), (5,), (5, 3), (3,)]
    whole = training_graphs(Subject(model, "z", probabilities=False, scope="segment"))
    assert [spec.name for spec in whole.inputs] == ["x"]
    assert [entry.shape for entry in whole.parameters] == [(4, 6), (6, 5), (5,), (5, 3), (3,)]
    assert whole.features is None


def test_a_head_that_reads_the_models_input_takes_that(tmp_path: Path) -> None:
    net = Net()
    product = net.op("MatMul", "x", net.weight(4, 3))
    net.op(
        "Add",
        product,
        net.op("Slice", net.op("Tanh", "x", out="trunk"), *(net.const([n]) for n in (0, 3, 1))),
        out="z",
    )
    model = observed(net.proto({"x": ["N", 4]}, {"trunk": ["N", 4], "z": ["N", 3]}), tmp_path)
    graphs = training_graphs(
        Subject(model, "z", probabilities=False, scope="exits", frozen=frozenset({"n_trunk"}))
    )
    assert ([spec.name for spec in graphs.inputs], graphs.features) == (["x"], None)


def test_what_normalises_and_what_is_shared_stays_as_it_is(tmp_path: Path) -> None:
    net = Net()
    shared, scale = net.weight(4), net.weight(4)
    low = net.op("Add", net.op("MatMul", "x", net.weight(4, 4)), shared)
    normal = net.op("LayerNormalization", low, scale, shared, axis=-1)
    scaled = net.op("Mul", normal, net.const(0.5, np.float32))
    net.op("Gemm", scaled, net.weight(4, 3), out="z")
    model = observed(net.proto({"x": ["N", 4]}, {"z": ["N", 3]}), tmp_path)
    graphs = training_graphs(Subject(model, "z", probabilities=False, scope="segment"))
    assert [entry.shape for entry in graphs.parameters] == [(4, 4), (4, 3)]


@pytest.mark.parametrize("ending", [("Softmax",), ("Softmax", "Identity"), ("LogSoftmax",), ("Softmax", "Abs")])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_scores_of_each_kind_have_the_same_loss(
    ending: tuple[str, ...], optimiser: Optimiser, tmp_path: Path
) -> None:
    """Logits are those of the model without the ending, whose steps they take."""
    model = observed(small(ending), tmp_path)
    name = f"end_{len(ending) - 1}"
    subject = Subject(model, name, probabilities="LogSoftmax" not in ending, scope="segment")
    graphs = training_graphs(subject)
    plain = Subject(observed(small(), tmp_path), "z", probabilities=False, scope="segment")
    steps, rates = batches(model, 3, 20), Rates(0.05)
    found, losses = train_by_graphs(subject, graphs, optimiser, steps, rates)
    wanted, plain_losses = train_by_graphs(plain, training_graphs(plain), optimiser, steps, rates)
    assert largest_difference(found[-1], wanted[-1]) < 1e-4
    np.testing.assert_allclose(losses, plain_losses, rtol=1e-4)


def test_certain_answers_of_a_softmax_still_teach(tmp_path: Path) -> None:
    """A probability of exactly 0 would have no finite logarithm; its logit has a gradient."""
    net = Net()
    logits = net.op("Mul", net.op("MatMul", "x", net.weight(4, 3)), net.const(1000, np.float32))
    net.op("Softmax", logits, axis=-1, out="p")
    subject = Subject(
        observed(net.proto({"x": ["N", 4]}, {"p": ["N", 3]}), tmp_path), "p", probabilities=True, scope="segment"
    )
    found, losses = train_by_graphs(
        subject, training_graphs(subject), "sgd", batches(subject.model, 3, 3), Rates(1e-3)
    )
    assert np.isfinite(losses).all()
    assert all(np.isfinite(array).all() for array in found[-1].values())


@pytest.mark.parametrize(
    ("proto", "scores", "reason"),
    [
        (small(("Sigmoid",)), "end_0", r"'n_end_0' \(Sigmoid\)"),
        (small(("Round",)), "end_0", "'n_end_0': operator Round has no backward"),
        (small(), "x", "tells no classes|no float32 weight"),
        (small(batch=2), "z", r"expected scores float32\[batch, classes\]"),
    ],
    ids=["sigmoid", "operator", "nothing", "fixed batch"],
)
def test_what_cannot_learn_is_refused(proto: onnx.ModelProto, scores: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=reason):
        training_graphs(Subject(observed(proto, tmp_path), scores, probabilities=False, scope="segment"))


def test_everything_frozen_is_refused(tmp_path: Path) -> None:
    model = observed(small(), tmp_path)
    everything = frozenset(node.name or "" for node in model.graph)
    with pytest.raises(ModelError, match="'z' cannot be trained: no float32 weight"):
        training_graphs(Subject(model, "z", probabilities=False, scope="exits", frozen=everything))


def test_a_name_that_the_step_needs_is_refused(tmp_path: Path) -> None:
    proto = small()
    for node in proto.graph.node:
        node.input[:] = ["train/targets" if name == "w_1" else name for name in node.input]
    proto.graph.initializer[1].name = "train/targets"
    with pytest.raises(ModelError, match=r"names that training uses: \['train/targets'\]"):
        training_graphs(Subject(observed(proto, tmp_path), "z", probabilities=False, scope="segment"))


def test_a_step_runs_with_onnxruntime_and_numpy_alone(tmp_path: Path) -> None:
    subject = Subject(observed(small(), tmp_path), "z", probabilities=False, scope="segment")
    (tmp_path / "step.onnx").write_bytes(training_graphs(subject).steps["adam"])
    code = (
        "import sys, numpy, onnxruntime\n"
        "session = onnxruntime.InferenceSession(sys.argv[1])\n"
        "ones = {i.name: numpy.ones([n if isinstance(n, int) else 2 for n in i.shape], 'float32')"
        " for i in session.get_inputs()}\n"
        "made = session.run(['train/loss'], ones)\n"
        "assert numpy.isfinite(made[0])\n"
        "assert not {'torch', 'onnx', 'onnx_ir', 'flwr'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "step.onnx")], check=True, timeout=60)


def test_an_input_that_samples_share_is_named(tmp_path: Path) -> None:
    net = Net()
    net.op("MatMul", net.op("MatMul", "x", "table"), net.weight(4, 3), out="z")
    model = observed(net.proto({"x": ["N", 4], "table": [4, 4]}, {"z": ["N", 3]}), tmp_path)
    with pytest.raises(ModelError, match=r"needs the inputs \['table'\], which have no batch axis"):
        training_graphs(Subject(model, "z", probabilities=False, scope="segment"))
