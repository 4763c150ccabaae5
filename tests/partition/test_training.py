"""`--trainable`: the graphs in the package train what its device runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from splitnet.errors import InvalidArgumentError, ModelError
from splitnet.onnx_session import OnnxSession
from splitnet.package import Package, SegmentEntry, TrainingEntry, open_package
from splitnet.partition import PartitionResult, pack
from splitnet.partition.options import Trainable
from splitnet.tensors import Array, Tensors
from tests.partition.jobs import calibration, job, site
from tests.partition.models import CLASSES, classifier, logits

CUTS = (("stage_1",), ("stage_2",))


def trained(folder: Path, trainable: Trainable, **options: object) -> PartitionResult:
    """The package of a classifier that is cut below each of its exits."""
    x, labels = logits(400)
    data = calibration(folder, x=x, labels=labels)
    return job(classifier(), folder, cuts=CUTS, calibration=data, epsilon=0.1, trainable=trainable, **options)


@pytest.fixture(scope="module", params=["exits", "segment"])
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PartitionResult:
    return trained(tmp_path_factory.mktemp("training"), request.param, codec="u8")


def opened(result: PartitionResult) -> tuple[Package, SegmentEntry, TrainingEntry]:
    """The package as read from disk, with its device's segment and how that learns."""
    package = open_package(result.package.path)
    (entry,) = package.manifest.training
    segment = package.manifest.segment_of("device")
    assert segment is not None
    return package, segment, entry


def weights_of(package: Package, segment: SegmentEntry) -> dict[str, Array]:
    model = onnx.load(package.path / segment.file)
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def step(package: Package, entry: TrainingEntry, parameters: Tensors, x: Array, y: Array) -> tuple[Tensors, float]:
    """One step of plain gradient descent on labels; what the parameters become, and the loss before."""
    chosen = entry.step("sgd")
    assert chosen is not None
    features = {"x": x}
    if entry.features is not None:
        features = OnnxSession(package.read_file(entry.features), name="features").run(features)
    fed = {f"anchor/{name}": array for name, array in parameters.items()}
    fed |= {each.name: np.zeros([int(size) for size in each.shape], np.float32) for each in chosen.state}
    fed |= dict.fromkeys(("train/momentum", "train/proximal"), np.array(0, np.float32))
    fed |= {"train/learning_rate": np.array(0.5, np.float32), "train/weights": np.ones(len(x), np.float32)}
    fed |= {"train/targets": np.eye(CLASSES, dtype=np.float32)[y]}
    made = OnnxSession(package.read_file(chosen), name="step").run({**features, **parameters, **fed})
    return {name: made[f"next/{name}"] for name in parameters}, float(made["train/loss"])


def test_what_learns_is_in_the_device_segment_by_name(done: PartitionResult) -> None:
    package, segment, entry = opened(done)
    weights = weights_of(package, segment)
    scope = done.options.trainable
    assert (entry.segment, entry.scope, entry.output) == ("device", scope, "exit_1")
    assert (entry.scores, entry.classes) == ("logits", CLASSES)
    assert [tensor.name for tensor in entry.inputs] == (["stage_1"] if scope == "exits" else ["x"])
    assert [weights[tensor.name].shape for tensor in entry.parameters] == (
        [(8, 4)] if scope == "exits" else [(8, 8), (8, 4)]
    )
    assert [tensor.shape for tensor in entry.parameters] == [weights[t.name].shape for t in entry.parameters]
    assert {chosen.optimiser for chosen in entry.steps} == {"sgd", "adam"}
    assert package.check() > 0


def test_steps_make_the_exit_of_the_segment_better(done: PartitionResult) -> None:
    package, segment, entry = opened(done)
    weights = weights_of(package, segment)
    before = {tensor.name: weights[tensor.name] for tensor in entry.parameters}
    x, y = logits(300, seed=5)
    values, losses = before, []
    for _ in range(10):
        values, loss = step(package, entry, values, x, y)
        losses.append(loss)
    assert losses[-1] < 0.7 * losses[0]
    old, new = (run(package, segment, each, x) for each in (before, values))
    assert (new["exit_1"].argmax(axis=1) == y).mean() > (old["exit_1"].argmax(axis=1) == y).mean() + 0.02
    wire = package.manifest.plan.wires[0].tensors[0].name
    changed = not np.array_equal(old[wire], new[wire])
    assert changed == (entry.scope == "segment")


def run(package: Package, segment: SegmentEntry, parameters: Tensors, x: Array) -> Tensors:
    """What the device's segment makes of `x` with other parameters."""
    model = onnx.load(package.path / segment.file)
    for tensor in model.graph.initializer:
        if tensor.name in parameters:
            tensor.CopyFrom(numpy_helper.from_array(parameters[tensor.name], tensor.name))
    return OnnxSession(model.SerializeToString(), name="device").run({"x": x})


def test_the_result_says_what_learns(done: PartitionResult) -> None:
    (entry,) = done.package.manifest.training
    count = 32 if entry.scope == "exits" else 96
    assert json.loads(json.dumps(done.to_json()))["training"] == [
        {
            "segment": "device",
            "scope": entry.scope,
            "output": "exit_1",
            "inputs": [tensor.name for tensor in entry.inputs],
            "parameters": count,
        }
    ]


def test_names_are_the_same_where_weights_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "INLINE_BYTES", 0)
    package, segment, entry = opened(trained(tmp_path, "segment"))
    assert {tensor.name for tensor in entry.parameters} <= weights_of(package, segment).keys()


def test_nothing_learns_unless_asked_for(tmp_path: Path) -> None:
    result = trained(tmp_path, "none")
    assert result.package.manifest.training == ()
    assert not (result.package.path / "train").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"use_exits": False}, "--exits none or --trainable"),
        ({"place": "all-cloud"}, "place all-cloud leaves the device without an exit"),
        ({}, "the model has no exit with a threshold"),
    ],
)
def test_without_exits_nothing_can_learn(options: dict[str, object], reason: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=reason):
        job(classifier(), tmp_path, trainable="exits", **options)


def test_a_plan_without_an_exit_on_the_device_says_what_to_do(tmp_path: Path) -> None:
    x, labels = logits(400)
    data = calibration(tmp_path, x=x, labels=labels)
    with pytest.raises(
        InvalidArgumentError, match=r"no exit on the device.*; cut behind one of the model's exits"
    ):
        job(classifier(), tmp_path, cuts=(("x",),), calibration=data, epsilon=0.1, trainable="exits")
    fast_cloud = site(device_speed=1e-6, bandwidth_bps=1e9, uplink_bps=1e9)
    with pytest.raises(InvalidArgumentError, match=r"no exit on the device.*--place split"):
        job(classifier(), tmp_path, site=fast_cloud, calibration=data, epsilon=0.1, trainable="exits")
    assert not (tmp_path / "out.split").exists()


def test_an_operator_without_a_backward_is_named(tmp_path: Path) -> None:
    proto = classifier()
    head = next(node for node in proto.graph.node if node.output[0] == "exit_1")
    head.output[0] = "counted"
    rounded = helper.make_node("CumSum", ["counted", "axis"], ["exit_1"], name="in_sum")
    proto.graph.node.insert(list(proto.graph.node).index(head) + 1, rounded)
    proto.graph.initializer.append(numpy_helper.from_array(np.array(1), "axis"))
    x, labels = logits(400)
    data = calibration(tmp_path, x=x, labels=labels)
    with pytest.raises(ModelError, match="node 'in_sum': operator CumSum has no backward form"):
        job(proto, tmp_path, cuts=CUTS, calibration=data, epsilon=0.4, trainable="exits")


def test_it_needs_no_torch(tmp_path: Path) -> None:
    x, labels = logits(400)
    (tmp_path / "model.onnx").write_bytes(classifier().SerializeToString())
    options = ["--calibration", str(calibration(tmp_path, x=x, labels=labels)), "--epsilon", "0.1", "--json"]
    command = ["partition", str(tmp_path / "model.onnx"), "--output", str(tmp_path / "out.split"), *options]
    code = "import sys; sys.modules['torch'] = None; from splitnet.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "--trainable", "exits", "--cut", "stage_1"],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["training"][0]["scope"] == "exits"
