"""Statistics: what is seen of values, batch by batch, is what the values together are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from splitnet.codec import ValueStatistics, channel_axis, statistics_of
from splitnet.errors import InvalidArgumentError
from splitnet.tensors import BATCH, DTYPES, Array, TensorSpec

SPEC = TensorSpec("t", "float32", (BATCH, 3, 2, 2))
FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)
BATCHES = st.lists(
    st.integers(1, 3).flatmap(lambda count: hnp.arrays(np.float32, (count, 3, 2, 2), elements=FLOATS)),
    min_size=1,
    max_size=3,
)


def together(batches: list[Array]) -> ValueStatistics:
    merged = statistics_of(SPEC, batches[0])
    for batch in batches[1:]:
        merged = merged.merge(statistics_of(SPEC, batch))
    return merged


@given(BATCHES)
def test_batches_merge_to_what_all_samples_are(batches: list[Array]) -> None:
    merged, values = together(batches), np.concatenate(batches)
    finite = values[np.isfinite(values)]
    assert merged.samples == len(values)
    assert merged.is_empty == (not finite.size)
    assert merged.low == finite.min(initial=np.inf)
    assert merged.high == finite.max(initial=-np.inf)
    assert merged.channel_low is not None
    assert merged.channel_high is not None
    for channel in range(3):
        own = values[:, channel][np.isfinite(values[:, channel])]
        assert merged.channel_low[channel] == own.min(initial=np.inf)
        assert merged.channel_high[channel] == own.max(initial=-np.inf)


@given(BATCHES)
def test_integral_is_what_an_integer_type_holds(batches: list[Array]) -> None:
    values = np.concatenate(batches).ravel().tolist()
    exact = all(np.isfinite(one) and int(one) == one and str(one) != "-0.0" for one in values)
    assert together(batches).integral == exact


@given(st.lists(st.integers(-300, 300), min_size=1), st.integers(0, 2))
def test_integers_are_integral(numbers: list[int], halves: int) -> None:
    values = np.array([*numbers, halves / 2], np.float32)[np.newaxis]
    assert statistics_of(TensorSpec("t", "float32", (BATCH, len(numbers) + 1)), values).integral == (halves != 1)


@pytest.mark.parametrize("odd", [0.5, np.nan, np.inf, -np.inf, -0.0])
def test_one_value_late_in_a_large_tensor_is_enough_to_be_no_integer(odd: float) -> None:
    spec = TensorSpec("t", "float32", (BATCH, 5000))
    values = np.ones((1, 5000), np.float32)
    assert statistics_of(spec, values).integral
    values[0, -1] = odd
    assert not statistics_of(spec, values).integral


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_is_seen(dtype: str) -> None:
    values = np.array([[0, 1], [1, 0]]).astype(dtype)
    found = statistics_of(TensorSpec("t", dtype, (BATCH, 2)), values)
    assert (found.low, found.high, found.integral, found.samples) == (0.0, 1.0, True, 2)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((BATCH, 3, 8, 8), 1),
        ((1, 3, 8, 8), 1),
        ((BATCH, 3, 4, 8, 8), 1),
        ((BATCH, 16, 32), 2),
        ((BATCH, 32), 1),
        ((16, BATCH, 32), 2),
        ((16, 32, BATCH), None),
        ((16, BATCH, 4, 4), None),
        ((BATCH,), None),
        ((5,), 0),
        ((), None),
    ],
)
def test_channels_are_axis_1_of_images_and_the_last_of_others(
    shape: tuple[int | str, ...], axis: int | None
) -> None:
    spec = TensorSpec("t", "float32", shape)
    assert channel_axis(spec) == axis
    found = statistics_of(spec, np.ones([2 if size == BATCH else int(size) for size in shape], np.float32))
    channels = None if axis is None else found.channel_low
    assert channels is found.channel_low
    assert axis is None or (channels is not None and channels.shape == (shape[axis],))


def test_a_tensor_without_values_has_no_range() -> None:
    found = statistics_of(TensorSpec("t", "float32", (BATCH, 0)), np.ones((2, 0), np.float32))
    assert found.is_empty
    assert found.samples == 2


def test_an_array_that_does_not_fit_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match="tensor 't': expected float32, got float64"):
        statistics_of(SPEC, np.ones((1, 3, 2, 2)))
