"""topk: the largest magnitudes arrive, rounded to float16, and everything else as 0."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from splitnet.codec import TensorCodec
from splitnet.tensors import BATCH, Array, TensorSpec
from tests.codec.carrying import Carrier, tensor

SAMPLES = st.tuples(st.integers(1, 3), st.sampled_from([1, 2, 15, 16, 17, 40]))
FINITE = st.floats(-65504, 65504, width=32)


@given(hnp.arrays(np.float32, SAMPLES, elements=FINITE))
def test_a_sixteenth_arrives_and_nothing_larger_is_left(values: Array) -> None:
    count = values.shape[1]
    carrier = Carrier(TensorCodec("topk", tensor(count)))
    sent, back = carrier.encode(values), carrier(values)
    assert carrier.codec.nbytes == 4 * -(-count // 16)
    for row, arrived, places in zip(values, back, sent["t.topk.indices"], strict=True):
        assert len(np.unique(places)) == -(-count // 16)
        kept = np.isin(np.arange(count), places)
        assert np.array_equal(arrived[kept], row[kept].astype(np.float16).astype(np.float32))
        assert np.all(arrived[~kept] == 0)
        assert np.abs(row[kept]).min() >= np.abs(row[~kept]).max(initial=0)


def test_samples_of_many_axes_come_back_in_their_shape() -> None:
    values = np.zeros((3, 4, 4, 4), np.float32)
    rng = np.random.default_rng(0)
    for sample in values:
        sample.reshape(-1)[rng.permutation(64)[:4]] = rng.integers(1, 100, 4)
    assert np.array_equal(Carrier(TensorCodec("topk", tensor(4, 4, 4)))(values), values)


@pytest.mark.parametrize(("count", "dtype"), [(65_536, "uint16"), (65_537, "int32")])
def test_the_last_of_many_places_is_found_again(count: int, dtype: str) -> None:
    codec = TensorCodec("topk", tensor(count))
    shape = (BATCH, -(-count // 16))
    assert codec.wires == (
        TensorSpec("t.topk.values", "float16", shape),
        TensorSpec("t.topk.indices", dtype, shape),
    )
    values = np.zeros((2, count), np.float32)
    values[0, -1], values[1, 0] = 7.0, -7.0
    assert np.array_equal(Carrier(codec)(values), values)


def test_a_fixed_batch_is_one_sample() -> None:
    spec = TensorSpec("t", "float32", (2, 16))
    values = np.zeros((2, 16), np.float32)
    values[1, 5:7] = 3.0, -4.0
    codec = TensorCodec("topk", spec)
    assert codec.nbytes == 8
    assert np.array_equal(Carrier(codec)(values), values)


def test_infinity_is_the_largest_magnitude() -> None:
    values = np.ones((1, 20), np.float32)
    values[0, 3:5] = np.inf, -np.inf
    back = Carrier(TensorCodec("topk", tensor(20)))(values)
    assert back[0, 3:5].tolist() == [np.inf, -np.inf]
    assert np.count_nonzero(back) == 2
