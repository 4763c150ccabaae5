"""What counts as equal, and how differences are summed up."""

import math
from pathlib import Path

import numpy as np
import pytest

from splitnet.codec import TensorCodec
from splitnet.codec_names import CodingName
from splitnet.differences import Differences, bit_equal
from splitnet.partition.segments import SentTensor
from splitnet.partition.verify import Flow
from splitnet.tensors import Array, TensorSpec
from tests.graph.models import residual
from tests.partition.jobs import answers, calibration, job, run_whole

NAN, INF = math.nan, math.inf


def floats(*values: float) -> Array:
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("want", "got", "equal"),
    [
        (floats(1, NAN, INF), floats(1, NAN, INF), True),
        (floats(0.0), floats(-0.0), False),
        (floats(1), floats(NAN), False),
        (floats(NAN), floats(1), False),
        (floats(INF, 2), floats(INF, 9), False),
        (floats(1), np.array([1.0]), False),
        (floats(1), floats(1, 1), False),
        (np.array([2**53], np.int64), np.array([2**53 + 1], np.int64), False),
        (np.array([True]), np.array([True]), True),
    ],
)
def test_bit_equality(want: Array, got: Array, equal: bool) -> None:  # noqa: FBT001
    assert bit_equal(want, got) is equal
    worst = Differences()
    worst.add({"y": want}, {"y": got}, 1) if want.shape == got.shape else None
    assert worst.equal or not equal


@pytest.mark.parametrize(
    ("want", "got", "most"),
    [
        (floats(1, 2), floats(NAN, 9), 1e300),
        (floats(INF, 2), floats(INF, 9), 7.0),
        (floats(NAN, 2), floats(NAN, 2.5), 0.5),
        (floats(1, 2), floats(1, INF), 1e300),
    ],
)
def test_infinity_and_nan_hide_no_difference(want: Array, got: Array, most: float) -> None:
    worst = Differences()
    worst.add({"y": want}, {"y": got}, 2)
    assert not worst.equal
    assert worst.max_abs >= most
    assert math.isfinite(worst.max_abs)
    assert math.isfinite(worst.max_rel)


def test_agreement_is_of_predicted_classes_alone() -> None:
    worst = Differences()
    image = np.zeros((2, 1, 4, 4), np.float32)
    worst.add({"mask": image}, {"mask": image + 100}, 2)
    assert worst.agreement is None
    logits = np.array([[1, 0], [0, 1]], np.float32)
    worst.add({"logits": logits}, {"logits": logits[::-1]}, 2)
    worst.add({"logits": logits}, {"logits": logits}, 2)
    assert worst.agreement == 0.5


def test_accuracy_is_held_against_what_the_whole_model_reaches() -> None:
    found = Differences()
    assert (found.accuracy, found.accuracy_drop) == (None, None)
    classes = np.eye(4, 3, dtype=np.float32)  # the last row predicts class 0
    found.score(classes, classes[[0, 1, 1, 3]], np.array([0, 1, 2, 1]))
    assert (found.accuracy, found.accuracy_drop) == (0.5, 0.25)
    found.score(classes, classes, np.array([0, 1, 2, 0]))
    assert (found.accuracy, found.accuracy_drop) == (0.75, 0.125)


@pytest.mark.parametrize(("coding", "lossless"), [("zstd", True), ("png", True), ("jpeg", False)])
def test_what_a_coding_loses_is_lost_in_verification_too(coding: CodingName, lossless: bool) -> None:  # noqa: FBT001
    spec = TensorSpec("x", "uint8", ("batch", 1, 8, 8))
    array = np.random.default_rng(0).integers(0, 256, (2, 1, 8, 8), np.uint8)
    wire = (SentTensor(TensorCodec("none", spec), coding),)
    flow = Flow({"x": array, "y": array}, np.arange(2))
    flow.send(wire, compact=False)
    assert flow.values.keys() == {"x"}
    assert np.array_equal(flow.values["x"], array) is lossless
    flow.send(wire, compact=True)
    assert (flow.values["x"].shape, flow.kept.tolist()) == ((1, 1, 8, 8), [0])


@pytest.mark.parametrize("codec", ["none", "u8"])
def test_the_accuracy_of_a_plan_is_that_of_its_segments(codec: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 3, 8, 8)).astype(np.float32)
    labels = rng.integers(0, 5, 40)
    result = job(
        residual(), tmp_path, cuts=(("stem",),), codec=codec, calibration=calibration(tmp_path, x=x, labels=labels)
    )
    verified = result.package.manifest.plan.verification
    split = (answers(result.package, {"x": x})["y"].argmax(axis=1) == labels).mean()
    whole = (run_whole(tmp_path / "model.onnx", {"x": x})["y"].argmax(axis=1) == labels).mean()
    assert verified.accuracy == pytest.approx(split)
    assert verified.accuracy_drop == pytest.approx(whole - split)
