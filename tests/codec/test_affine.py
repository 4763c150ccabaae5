"""u8, u8c, u4: half a step inside the range, the ends beyond it, and 0 exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.codec import CodecName, TensorCodec
from splitnet.codec.affine import quantisation
from splitnet.tensors import BATCH, Array, TensorSpec
from tests.codec.carrying import Carrier, fitted, ranges, seen, tensor

LEVELS: dict[CodecName, int] = {"u8": 255, "u8c": 255, "u4": 15}
AFFINE = list(LEVELS)
CHANNELS = 3
SPEC = tensor(CHANNELS, 2, 3)

every_affine = pytest.mark.parametrize("name", AFFINE)
by_channel = pytest.mark.parametrize("name", ["u8c", "u4"])


def filled(shares: list[float], low: float, high: float) -> Array:
    """Values of `SPEC` between `low` and `high`, its ends among them."""
    values = [low + share * (high - low) for share in [0.0, 1.0, *shares]]
    return np.resize(np.asarray(values, np.float32), (2, CHANNELS, 2, 3))


@every_affine
@given(span=ranges(), shares=st.lists(st.floats(0, 1), max_size=30))
def test_inside_the_range_values_are_right_to_half_a_step(
    name: CodecName, span: tuple[float, float], shares: list[float]
) -> None:
    values = filled(shares, *span)
    back = Carrier(TensorCodec(name, SPEC, seen(SPEC, *span)))(values)
    step = float(quantisation(*span, levels=LEVELS[name]).scale)
    # The steps of float32 are felt where 255 of them make the range: 2**-24 of a value up to 255 scales.
    assert np.max(np.abs(back.astype(np.float64) - values)) <= step * (0.5 + 1e-4)


@every_affine
@given(span=ranges())
def test_zero_is_kept_exactly(name: CodecName, span: tuple[float, float]) -> None:
    back = Carrier(TensorCodec(name, SPEC, seen(SPEC, *span)))(np.zeros((1, CHANNELS, 2, 3), np.float32))
    assert np.all(back == 0.0)


@every_affine
@given(span=ranges(), factor=st.floats(1.01, 1e6), above=st.booleans())
def test_beyond_the_range_values_are_its_ends(
    name: CodecName,
    span: tuple[float, float],
    factor: float,
    above: bool,  # noqa: FBT001
) -> None:
    code = quantisation(*span, levels=LEVELS[name])
    low, high = (float(level - float(code.zero_point)) * float(code.scale) for level in (0, LEVELS[name]))
    beyond = high + (high - low) * factor if above else low - (high - low) * factor
    values = np.full((1, CHANNELS, 2, 3), beyond, np.float32)
    # Neighbours in a packed byte feel nothing of it.
    values[0, 0] = 0.0
    back = Carrier(TensorCodec(name, SPEC, seen(SPEC, *span)))(values)
    assert np.all(back[0, 0] == 0.0)
    assert np.allclose(back[0, 1:], high if above else low, rtol=1e-6)


@every_affine
def test_all_steps_are_used(name: CodecName) -> None:
    values = np.linspace(-1, 3, 256, dtype=np.float32).reshape(1, 1, 256, 1)
    back = Carrier(fitted(name, tensor(1, 256, 1), values))(values)
    assert len(np.unique(back)) == LEVELS[name] + 1


@by_channel
@given(st.lists(ranges(), min_size=CHANNELS, max_size=CHANNELS))
def test_a_channel_has_a_step_of_its_own(name: CodecName, spans: list[tuple[float, float]]) -> None:
    values = np.stack([filled([0.3, 0.8], *span)[:, 0] for span in spans], axis=1)
    back = Carrier(fitted(name, SPEC, values))(values).astype(np.float64)
    for channel, (low, high) in enumerate(spans):
        if low == high == 0:
            continue  # takes the tensor's range: below
        step = float(quantisation(low, high, levels=LEVELS[name]).scale)
        assert np.max(np.abs(back[:, channel] - values[:, channel])) <= step * (0.5 + 1e-4)


@by_channel
def test_a_channel_that_was_silent_takes_the_range_of_the_tensor(name: CodecName) -> None:
    calibration = np.zeros((1, CHANNELS, 2, 3), np.float32)
    calibration[:, 1], calibration[:, 2, 0] = 6.0, -3.0
    back = Carrier(fitted(name, SPEC, calibration))(np.full((1, CHANNELS, 2, 3), 2.5, np.float32))
    assert back[0, 0] == pytest.approx(2.5, abs=0.5 * 9.0 / LEVELS[name] + 1e-6)


@by_channel
def test_tokens_are_quantised_along_the_hidden_axis(name: CodecName) -> None:
    spec, values = tensor(5, 4), np.full((2, 5, 4), 0.01, np.float32)
    values[..., 3] = 100.0
    back = Carrier(fitted(name, spec, values))(values)
    assert back == pytest.approx(values, rel=1e-6)


@pytest.mark.parametrize("name", ["u8", "u8c"])
@pytest.mark.parametrize("shape", [(7, BATCH, 2), (BATCH, 3, 2, 2), (1, 3, 2, 2), (4,)])
def test_bytes_stand_where_the_values_stood(name: CodecName, shape: tuple[int | str, ...]) -> None:
    spec = TensorSpec("t", "float32", shape)
    values = np.random.default_rng(0).normal(size=[3 if size == BATCH else int(size) for size in shape])
    codec = fitted(name, spec, values.astype(np.float32))
    assert codec.wires == (TensorSpec(f"t.{name}", "uint8", shape),)
    assert Carrier(codec)(values.astype(np.float32)) == pytest.approx(values, abs=0.02)


@pytest.mark.parametrize("sample", [(1,), (2,), (5,), (3, 3, 3), (2, 2, 2)])
@pytest.mark.parametrize("batch", [1, 3])
def test_u4_packs_two_values_to_a_byte_and_pads_the_last(sample: tuple[int, ...], batch: int) -> None:
    values = np.random.default_rng(1).integers(0, 16, (batch, *sample)).astype(np.float32)
    values[0] = 15.0
    codec = TensorCodec("u4", tensor(*sample), seen(tensor(*sample), 0.0, 15.0))
    count = int(np.prod(sample))
    assert codec.wires == (TensorSpec("t.u4", "uint8", (BATCH, (count + 1) // 2)),)
    # The range has 16 integers, one a step: nothing is lost.
    assert np.array_equal(Carrier(codec)(values), values)


def test_u4_of_a_fixed_batch_is_one_row() -> None:
    spec = TensorSpec("t", "float32", (2, 3, 5))
    values = np.random.default_rng(2).integers(0, 16, (2, 3, 5)).astype(np.float32)
    codec = TensorCodec("u4", spec, seen(spec, 0.0, 15.0))
    assert codec.wires == (TensorSpec("t.u4", "uint8", (1, 15)),)
    assert np.array_equal(Carrier(codec)(values), values)


def test_u4_holds_the_first_half_of_a_sample_in_its_low_bits() -> None:
    codec = TensorCodec("u4", tensor(5), seen(tensor(5), 0.0, 15.0))
    sent = Carrier(codec).encode(np.array([[1, 2, 3, 4, 5]], np.float32))["t.u4"]
    assert sent.tolist() == [[1 + 16 * 4, 2 + 16 * 5, 3]]


@pytest.mark.parametrize("levels", [15, 255])
def test_a_range_of_one_value_is_no_division_by_zero(levels: int) -> None:
    for value, step, zero in ((0.0, 1.0, 0), (5.0, 5 / levels, 0), (-5.0, 5 / levels, levels)):
        code = quantisation(value, value, levels=levels)
        assert float(code.scale) == pytest.approx(step)
        assert int(code.zero_point) == zero


@given(st.floats(0, 2.0**-126, width=32))
def test_the_smallest_ranges_have_a_scale_that_divides(value: float) -> None:
    scale = quantisation(0.0, value).scale
    assert np.isfinite(np.float32(1) / scale)
    assert scale * 255 >= value


def test_not_a_number_and_infinity_saturate() -> None:
    for name in AFFINE:
        values = np.zeros((1, CHANNELS, 2, 3), np.float32)
        values[0, :, 0, 0], values[0, :, 0, 1], values[0, :, 0, 2] = np.inf, -np.inf, np.nan
        back = Carrier(TensorCodec(name, SPEC, seen(SPEC, -1.0, 1.0)))(values)
        assert np.isfinite(back).all()
        assert back[0, :, 0, 0] == pytest.approx(1.0, abs=0.1)
        assert back[0, :, 0, 1] == pytest.approx(-1.0, abs=0.1)
        assert np.all(back[0, :, 1] == 0.0)
