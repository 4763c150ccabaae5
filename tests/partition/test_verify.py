"""What counts as equal, and how differences are summed up."""

import math

import numpy as np
import pytest

from splitnet.partition.differences import Differences, bit_equal
from splitnet.tensors import Array

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
