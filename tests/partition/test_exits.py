"""Exits in whole jobs: thresholds from labelled data or from the model, and who answers in the end."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splitnet.deadline import Deadline
from splitnet.errors import DeadlineExceededError, InvalidArgumentError, ModelError, NotFoundError
from splitnet.exits import leaves
from splitnet.exits.calibrate import METHOD, THRESHOLD_GRID
from splitnet.package import open_package
from splitnet.partition import PartitionResult
from splitnet.runtime import BoundedExecutor, Pipeline
from splitnet.tensors import Array, Tensors
from splitnet.tier import SegmentLoader, own_stage
from tests.graph import models as zoo
from tests.partition.jobs import calibration, deployed, feeds, job, run_segments, run_whole, site
from tests.partition.models import classifier, heads, logits, with_exits

CUTS = (("stage_1",), ("stage_2",))
EPSILON = 0.1
CALIBRATION: dict[str, Any] = {
    "epsilon": 0.01,
    "delta": 0.05,
    "n": 500,
    "method": "by hand",
    "bound": 0.01,
    "share": 0.3,
}


@pytest.fixture(scope="module", params=[False, True], ids=["one output", "two outputs"])
def done(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[PartitionResult, Path, Array]:
    """A classifier cut by hand at both heads, with its calibration data; its second output is made early."""
    folder = tmp_path_factory.mktemp("exits")
    x, labels = logits(1500)
    cuts = (("stage_1", "early"), ("stage_2", "early")) if request.param else CUTS
    result = job(
        classifier(features=request.param),
        folder,
        codec="none",
        cuts=cuts,
        epsilon=EPSILON,
        calibration=calibration(folder, x=x, labels=labels),
    )
    return result, folder / "model.onnx", x


def exits_of(result: PartitionResult) -> dict[str, Any]:
    return {entry.segment: entry for entry in result.package.manifest.exits}


def test_each_tier_below_the_last_has_its_exit(done: tuple[PartitionResult, Path, Array]) -> None:
    result, model, x = done
    exits = exits_of(result)
    assert set(exits) == {"device", "edge"}
    assert result.package.manifest.plan.verification.level == "bit-equal"
    whole = run_whole(model, {"x": x})
    truth = whole["y"].argmax(axis=1)
    for k, tier in enumerate(("device", "edge"), start=1):
        entry, record = exits[tier], exits[tier].calibration
        assert entry.confidence == f"sure_{k}"
        assert entry.outputs["y"] == f"exit_{k}"
        assert entry.threshold in THRESHOLD_GRID
        assert (record.method, record.n, record.delta) == (METHOD, 1500, pytest.approx(0.05 / 2))
        # Two exits share the promise evenly, and each keeps its part on the very data.
        assert record.epsilon == pytest.approx(EPSILON / 2)
        assert record.bound <= EPSILON / 2
        going = leaves(whole[f"sure_{k}"], entry.threshold)
        assert record.share == pytest.approx(going.mean())
        assert (going & (whole[f"exit_{k}"].argmax(axis=1) != truth)).mean() <= record.bound
        assert 0.1 < record.share < 1.0
    assert exits["device"].calibration.share < exits["edge"].calibration.share


def test_wires_do_not_carry_what_stays_below(done: tuple[PartitionResult, Path, Array]) -> None:
    result, _, _ = done
    wires = result.package.manifest.plan.wires
    assert [[tensor.name for tensor in wire.tensors] for wire in wires] == [["stage_1"], ["stage_2"]]
    made = run_segments(result.package, feeds(result.package, 2))
    assert [set(outputs) & {"early"} for outputs in made[1:]] == [set(), set()]


def test_three_tiers_answer_each_sample_where_it_is_sure(done: tuple[PartitionResult, Path, Array]) -> None:
    result, model, _ = done
    x, _ = logits(200, seed=5)
    whole = run_whole(model, {"x": x})
    exits = exits_of(result)
    going = {tier: leaves(whole[exits[tier].confidence], exits[tier].threshold) for tier in exits}
    expected = np.select([going["device"], going["edge"]], ["device", "edge"], "cloud")
    near = [abs(whole[exits[tier].confidence] - exits[tier].threshold) < 1e-5 for tier in exits]
    with deployed(result.package) as device:
        pending = [
            device.submit({"x": x[start : start + 8]}, Deadline.after_ms(60_000)) for start in range(0, 200, 8)
        ]
        answers = [future.result(timeout=60) for future in pending]
    tiers = [tier for answer in answers for tier in answer.exits]
    outputs: Tensors = {
        name: np.concatenate([answer.outputs[name] for answer in answers]) for name in answers[0].outputs
    }
    assert set(tiers) == {"device", "edge", "cloud"}
    assert outputs.keys() == {entry.name for entry in result.package.manifest.model.outputs}
    for index, tier in enumerate(tiers):
        if any(margin[index] for margin in near):
            continue
        assert tier == expected[index]
        for name, array in outputs.items():
            # What the device has made for good is not made again at the edge's exit.
            final = tier == "cloud" or (tier == "edge" and name == "early")
            source = name if final else exits[tier].outputs[name]
            np.testing.assert_allclose(array[index], whole[source][index], rtol=1e-4, atol=1e-5)


def test_the_device_alone_answers(done: tuple[PartitionResult, Path, Array]) -> None:
    result, model, _ = done
    package, (x, _) = open_package(result.package.path), logits(20, seed=6)
    whole = run_whole(model, {"x": x})
    outputs = [entry.to_spec() for entry in package.manifest.model.outputs]
    with closing(BoundedExecutor(workers=1, limit=1, name="device")) as executor:
        device = Pipeline([own_stage(package, "device", SegmentLoader(package))], outputs, executor)
        answer = device.submit({"x": x}, Deadline.after_ms(60_000)).result(timeout=60)
    assert answer.exits == ("device",) * 20
    assert set(answer.fallbacks) == {"", "UNAVAILABLE"}
    np.testing.assert_allclose(answer.outputs["y"], whole["exit_1"], rtol=1e-4, atol=1e-5)


def test_without_exits_the_heads_are_left_out(tmp_path: Path) -> None:
    result = job(classifier(), tmp_path, codec="none", cuts=CUTS, use_exits=False)
    assert result.package.manifest.exits == ()
    made = {entry.name for segment in result.package.manifest.segments for entry in segment.outputs}
    assert made == {"stage_1", "stage_2", "y"}
    with deployed(result.package) as device, pytest.raises(DeadlineExceededError):
        device.submit({"x": logits(1)[0]}, Deadline.after_ms(-1)).result(timeout=60)


def test_an_exit_above_the_last_cut_is_of_no_use(tmp_path: Path) -> None:
    x, labels = logits(1500)
    samples = calibration(tmp_path, x=x, labels=labels)
    result = job(classifier(), tmp_path, cuts=(("stage_1",),), epsilon=EPSILON, calibration=samples)
    assert set(exits_of(result)) == {"device"}


def test_too_few_samples_make_no_promise_and_no_exits(tmp_path: Path) -> None:
    x, labels = logits(100)
    samples = calibration(tmp_path, x=x, labels=labels)
    result = job(classifier(), tmp_path, cuts=CUTS, epsilon=0.001, calibration=samples)
    assert result.package.manifest.exits == ()


def test_a_poor_head_is_left_out_and_the_better_one_kept(tmp_path: Path) -> None:
    x, labels = logits(1500)
    samples = calibration(tmp_path, x=x, labels=labels)
    result = job(classifier(noise=(50.0, 0.1)), tmp_path, cuts=CUTS, epsilon=0.02, calibration=samples)
    assert [entry.confidence for entry in result.package.manifest.exits] == ["sure_2"]


def test_without_labels_the_last_head_counts_as_right(tmp_path: Path) -> None:
    x, labels = logits(1500)
    plain = calibration(tmp_path, x=x)
    without = job(classifier(), tmp_path, cuts=CUTS, codec="none", epsilon=EPSILON, calibration=plain)
    labelled = calibration(tmp_path, x=x, labels=labels)
    with_labels = job(classifier(), tmp_path, cuts=CUTS, codec="none", epsilon=EPSILON, calibration=labelled)
    assert without.package.manifest.exits == with_labels.package.manifest.exits != ()


def test_where_the_last_head_is_wrong_an_exit_costs_nothing(tmp_path: Path) -> None:
    x, labels = logits(1500)
    # No label is what the last head says: no exit can cost accuracy, so all may leave.
    samples = calibration(tmp_path, x=x, labels=(labels + 1) % 4)
    result = job(classifier(), tmp_path, cuts=CUTS, epsilon=EPSILON, calibration=samples)
    assert [entry.threshold for entry in result.package.manifest.exits] == [0.0, 0.0]


def test_a_models_own_thresholds_need_no_data(tmp_path: Path) -> None:
    own = [entry | {"threshold": 0.75, "calibration": CALIBRATION} for entry in heads()]
    result = job(with_exits(classifier(), own), tmp_path, codec="none", cuts=CUTS)
    entries = result.package.manifest.exits
    assert [entry.threshold for entry in entries] == [0.75, 0.75]
    assert all(entry.calibration is not None for entry in entries)
    assert [entry.calibration.method for entry in entries if entry.calibration] == ["by hand"] * 2
    # Both record a share of 0.3, and the deeper one is taken to keep what the shallower would have answered.
    plain = job(classifier(), tmp_path, codec="none", cuts=CUTS, use_exits=False)
    assert result.placement.bytes == pytest.approx([0.7 * nbytes for nbytes in plain.placement.bytes])


def test_a_head_without_a_threshold_is_not_attached_without_data(tmp_path: Path) -> None:
    own = heads()
    own[1] |= {"threshold": 0.75, "calibration": CALIBRATION}
    result = job(with_exits(classifier(), own), tmp_path, cuts=CUTS)
    assert [entry.confidence for entry in result.package.manifest.exits] == ["sure_2"]


FIRST = heads()[0]


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ("{", "not JSON"),
        ("{}", "metadata 'splitnet.exits'"),
        ([1], "metadata 'splitnet.exits': [0]"),
        ([FIRST | {"treshold": 0.5}], "[0].treshold: "),
        ([{"outputs": {"y": "exit_1"}}], "[0].confidence: "),
        ([FIRST | {"outputs": {}}], "[0].outputs: "),
        ([FIRST | {"threshold": "high"}], "[0].threshold: "),
        ([FIRST | {"calibration": CALIBRATION | {"epsilon": 2}}], "[0].calibration.epsilon: "),
        ([FIRST, FIRST | {"confidence": "certain"}], "exit 1 names ['certain'], which the model does not answer"),
        ([FIRST | {"outputs": {"y": "stage_1"}}], "exit 0 names ['stage_1']"),
        ([FIRST | {"outputs": {"z": "exit_1"}}], "exit 0 names ['z']"),
    ],
)
def test_metadata_that_describe_no_exits_are_refused(metadata: Any, text: str, tmp_path: Path) -> None:
    x, labels = logits(50)
    with pytest.raises(ModelError) as caught:
        job(with_exits(classifier(), metadata), tmp_path, calibration=calibration(tmp_path, x=x, labels=labels))
    assert "splitnet.exits" in str(caught.value)
    assert text in str(caught.value)


def test_an_exit_answers_what_the_model_answers_in_the_same_form(tmp_path: Path) -> None:
    second = heads()[1]
    for metadata, text in (
        ([FIRST], r"exit 0 stands for \['y'\]; expected \['exit_2', 'sure_2', 'y'\]"),
        (
            [{"outputs": {"y": "sure_1"}, "confidence": "exit_1"}, second],
            r"exit 0: 'sure_1' is float32\['batch'\]",
        ),
        (
            [FIRST | {"confidence": "exit_1"}, second, second | {"confidence": "sure_1"}],
            "exit 0: confidence 'exit_1'",
        ),
    ):
        with pytest.raises(ModelError, match=text):
            job(with_exits(classifier(), metadata), tmp_path)


def test_exits_come_in_order_of_depth(tmp_path: Path) -> None:
    own = [entry | {"threshold": 0.75, "calibration": CALIBRATION} for entry in reversed(heads())]
    with pytest.raises(ModelError, match="exits come in order of depth"):
        job(with_exits(classifier(), own), tmp_path)


def test_only_classifiers_are_calibrated(tmp_path: Path) -> None:
    net = zoo.Net()
    net.op("Relu", "x", out="t")
    net.op("Tanh", "t", out="early")
    net.op("ReduceMax", "t", axes=[1, 2], keepdims=0, out="sure")
    net.op("Sigmoid", "t", out="y")
    shapes: dict[str, list[int | str]] = {"early": ["N", 2, 2], "sure": ["N"], "y": ["N", 2, 2]}
    proto = with_exits(net.proto({"x": ["N", 2, 2]}, shapes), [{"outputs": {"y": "early"}, "confidence": "sure"}])
    with pytest.raises(ModelError, match="only classifiers can be calibrated"):
        job(proto, tmp_path, calibration=calibration(tmp_path, x=np.zeros((9, 2, 2), np.float32)))


def test_calibration_data_must_fit_the_model(tmp_path: Path) -> None:
    for arrays, text in (
        ({"z": np.zeros((9, 8), np.float32)}, "no array 'x'"),
        ({"x": np.zeros((9, 7), np.float32)}, "tensor 'x': expected shape"),
        ({"x": np.zeros((9, 8), np.float32), "labels": np.zeros(8, int)}, "labels"),
    ):
        with pytest.raises(InvalidArgumentError, match=text):
            job(classifier(), tmp_path, calibration=calibration(tmp_path, **arrays))
    with pytest.raises(NotFoundError, match=r"none\.npz: no such file"):
        job(classifier(), tmp_path, calibration=tmp_path / "none.npz")


@pytest.mark.parametrize("place", ["all-device", "all-edge", "all-cloud"])
def test_an_unsplit_choice_is_never_better_than_what_is_proved(place: str, tmp_path: Path) -> None:
    """It has no exit, which a split must have on the device, so it may cost less than the best split."""
    x, labels = logits(600)
    fast_above = site(device_speed=1e-4, bandwidth_bps=1e12, uplink_bps=1e12)
    samples = calibration(tmp_path, x=x, labels=labels)
    result = job(classifier(), tmp_path, place=place, site=fast_above, calibration=samples)
    plan = result.package.manifest.plan
    assert plan.bound <= plan.value
    assert plan.gap >= 0
