"""bits: zeros and ones are exact, in an eighth of the bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from splitnet.codec import TensorCodec
from splitnet.tensors import BATCH, DTYPES, TensorSpec
from tests.codec.carrying import Carrier, fitted, seen, tensor


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=15)
@given(data=st.data())
def test_zeros_and_ones_of_every_type_are_exact(dtype: str, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 20))
    values = data.draw(hnp.arrays(np.bool_, (data.draw(st.integers(1, 3)), count))).astype(dtype)
    codec = fitted("bits", tensor(count, dtype=dtype), values)
    back = Carrier(codec)(values)
    assert codec.nbytes == -(-count // 8)
    assert back.dtype == values.dtype
    assert back.tobytes() == values.tobytes()


def test_every_byte_is_packed_and_unpacked() -> None:
    values = np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1).astype(np.bool_)
    codec = TensorCodec("bits", tensor(8, dtype="bool"))
    sent = Carrier(codec).encode(values)["t.bits"]
    assert sorted(sent[:, 0].tolist()) == list(range(256))
    assert np.array_equal(Carrier(codec)(values), values)


def test_the_bits_of_a_byte_come_from_its_eight_parts() -> None:
    # Halved three times, the fastest bit is that of the last halving.
    spec = tensor(16, dtype="bool")
    places = []
    for place in range(16):
        values = np.zeros((1, 16), np.bool_)
        values[0, place] = True
        places.append(Carrier(TensorCodec("bits", spec)).encode(values)["t.bits"][0].tolist())
    expected = [[[1, 0], [0, 1]][place % 2] for place in range(16)]
    weights = [1, 16, 4, 64, 2, 32, 8, 128]
    assert places == [[weights[place // 2] * one for one in expected[place]] for place in range(16)]


@pytest.mark.parametrize("value", [0.3, -2.0, 300.0, np.inf, np.nan])
def test_anything_else_arrives_as_one_and_its_neighbours_whole(value: float) -> None:
    codec = TensorCodec("bits", tensor(9), seen(tensor(9), 0.0, 1.0))
    values = np.array([[0, 1, 0, value, 0, 0, 1, 0, 0]], np.float32)
    assert Carrier(codec)(values).tolist() == [[0, 1, 0, 1, 0, 0, 1, 0, 0]]


@pytest.mark.parametrize("shape", [(3, 5), (), (1,)])
def test_a_tensor_without_a_batch_is_one_row(shape: tuple[int, ...]) -> None:
    spec = TensorSpec("t", "bool", shape)
    values = np.random.default_rng(0).random(shape) > 0.5
    values = np.asarray(values)
    codec = TensorCodec("bits", spec)
    assert codec.wires == (TensorSpec("t.bits", "uint8", (1, -(-values.size // 8))),)
    assert np.array_equal(Carrier(codec)(values), values)


def test_samples_keep_to_their_rows() -> None:
    codec = TensorCodec("bits", TensorSpec("t", "bool", (BATCH, 3)))
    sent = Carrier(codec).encode(np.array([[True] * 3, [False] * 3, [True, False, False]]))["t.bits"]
    assert sent.shape == (3, 1)
    assert sent[1] == 0
    assert sent[2] == 1
