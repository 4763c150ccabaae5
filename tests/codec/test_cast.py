"""none, f16, byte: the codecs without parameters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from splitnet.codec import TensorCodec
from splitnet.tensors import BATCH, DTYPES, Array, TensorSpec
from tests.codec.carrying import Carrier, fitted, seen, tensor

T = tensor(4)
SHAPES = st.tuples(st.integers(1, 3), st.just(4))
OUTSIDE = [(0.3, 0.0), (2.6, 3.0), (-2.0, 0.0), (300.0, 255.0), (np.inf, 255.0), (-np.inf, 0.0)]


@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(width=32, allow_nan=False)))
def test_none_is_the_tensor_itself(values: Array) -> None:
    codec = TensorCodec("none", T)
    assert codec.wires == (T,)
    assert codec.nbytes == 16
    assert np.array_equal(Carrier(codec)(values), values)


@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(-65504, 65504, width=32)))
def test_f16_is_right_to_2_to_the_minus_11(values: Array) -> None:
    back = Carrier(TensorCodec("f16", T))(values)
    # Below 2**-14 float16 counts in steps of 2**-24.
    allowed = np.maximum(np.abs(values.astype(np.float64)) * 2**-11, 2**-25)
    assert np.all(np.abs(back.astype(np.float64) - values) <= allowed)


@given(st.lists(st.sampled_from([1e5, -1e5, 65520.0, np.inf, -np.inf]), min_size=4, max_size=4))
def test_f16_overflows_to_infinity(numbers: list[float]) -> None:
    values = np.array([numbers], np.float32)
    assert np.array_equal(Carrier(TensorCodec("f16", T))(values), np.sign(values) * np.inf)


def test_f16_carries_nan() -> None:
    codec = TensorCodec("f16", T)
    assert codec.wires == (TensorSpec("t.f16", "float16", (BATCH, 4)),)
    assert np.isnan(Carrier(codec)(np.full((1, 4), np.nan, np.float32))).all()


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if np.dtype(dtype).itemsize > 1])
@settings(max_examples=15)
@given(data=st.data())
def test_byte_is_exact_for_every_wider_type(dtype: str, data: st.DataObject) -> None:
    values = data.draw(hnp.arrays(np.uint8, SHAPES)).astype(dtype)
    spec = tensor(4, dtype=dtype)
    codec = fitted("byte", spec, np.full((1, 4), 255, dtype))
    back = Carrier(codec)(values)
    assert codec.nbytes == 4
    assert back.dtype == values.dtype
    assert back.tobytes() == values.tobytes()


@pytest.mark.parametrize(("value", "arrives"), OUTSIDE)
def test_byte_rounds_and_saturates_what_it_was_not_calibrated_for(value: float, arrives: float) -> None:
    codec = TensorCodec("byte", T, seen(T, 0.0, 255.0))
    assert Carrier(codec)(np.array([[value, 1, 2, 3]], np.float32)).tolist() == [[arrives, 1, 2, 3]]


@pytest.mark.parametrize(("value", "arrives"), [(-1, 0), (256, 255), (2**40, 255)])
def test_byte_does_not_wrap_integers_around(value: int, arrives: int) -> None:
    spec = tensor(4, dtype="int64")
    codec = TensorCodec("byte", spec, seen(spec, 0, 255))
    assert Carrier(codec)(np.array([[value, 1, 2, 3]])).tolist() == [[arrives, 1, 2, 3]]


def test_byte_keeps_the_place_of_the_batch() -> None:
    spec = TensorSpec("t", "float32", (2, BATCH))
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.array_equal(Carrier(fitted("byte", spec, values))(values), values)
