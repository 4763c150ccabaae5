"""TensorSpec: what is refused, what fits, and how samples are counted and taken out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from splitnet.errors import InvalidArgumentError
from splitnet.tensors import BATCH, DTYPES, Array, TensorSpec, batch_size, kept, take_samples

SIZES = st.integers(1, 4)


@st.composite
def specs(draw: st.DrawFn, *, batched: bool | None = None) -> TensorSpec:
    """A spec with a batch axis anywhere, or without."""
    shape: list[int | str] = list(draw(st.lists(SIZES, max_size=3)))
    if draw(st.booleans()) if batched is None else batched:
        shape.insert(draw(st.integers(0, len(shape))), BATCH)
    return TensorSpec("t", draw(st.sampled_from(DTYPES)), tuple(shape))


def filled(spec: TensorSpec, samples: int) -> Array:
    shape = [samples if size == BATCH else int(size) for size in spec.shape]
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(spec.dtype)


@pytest.mark.parametrize("dtype", ["object", "str", "float", "bfloat16", "complex64", ">f4", ""])
def test_an_element_type_outside_the_list_is_refused(dtype: str) -> None:
    with pytest.raises(InvalidArgumentError, match="tensor 't': element type") as caught:
        TensorSpec("t", dtype, (1,))
    assert all(name in str(caught.value) for name in DTYPES)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (("N", 3), "axis 'N' has no size"),
        ((BATCH, 3, BATCH), "more than one 'batch' axis"),
        ((BATCH, -1), "negative size"),
    ],
)
def test_a_shape_that_cannot_be_sent_is_refused(shape: tuple[int | str, ...], text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"tensor 't': {text}"):
        TensorSpec("t", "float32", shape)


@given(specs(), st.integers(1, 5))
def test_a_fitting_array_tells_its_samples(spec: TensorSpec, samples: int) -> None:
    array = filled(spec, samples)
    assert spec.check(array) == (1 if spec.batch_axis is None else samples)
    assert spec.sample_nbytes * (samples if spec.batch_axis is not None else 1) == array.nbytes


@given(specs(), st.data())
def test_another_type_or_shape_is_refused_by_name(spec: TensorSpec, data: st.DataObject) -> None:
    array = filled(spec, 2)
    other = data.draw(st.sampled_from([dtype for dtype in DTYPES if dtype != spec.dtype]))
    with pytest.raises(InvalidArgumentError, match=f"tensor 't': expected {spec.dtype}, got {other}"):
        spec.check(array.astype(other))
    with pytest.raises(InvalidArgumentError, match="tensor 't': expected shape"):
        spec.check(array[..., None])
    fixed = [axis for axis in range(len(spec.shape)) if axis != spec.batch_axis]
    if fixed:
        axis = data.draw(st.sampled_from(fixed))
        with pytest.raises(InvalidArgumentError, match="tensor 't': expected shape"):
            spec.check(np.concatenate([array, array], axis=axis))


@given(specs(batched=True))
def test_an_empty_batch_is_refused(spec: TensorSpec) -> None:
    with pytest.raises(InvalidArgumentError, match="tensor 't': the batch is empty"):
        spec.check(filled(spec, 0))


@given(specs(batched=True), st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_samples_are_taken_along_the_batch_axis(spec: TensorSpec, which: list[int]) -> None:
    array = filled(spec, 5)
    taken = take_samples(spec, array, np.array(which))
    assert spec.check(taken) == len(which)
    assert taken.flags.c_contiguous
    for place, index in enumerate(which):
        assert np.array_equal(taken.take(place, spec.batch_axis), array.take(index, spec.batch_axis))


@given(specs(batched=False))
def test_without_a_batch_axis_every_sample_shares_the_tensor(spec: TensorSpec) -> None:
    array = filled(spec, 1)
    assert take_samples(spec, array, np.array([0, 0])) is array


IMAGE = TensorSpec("image", "float32", (BATCH, 2))
MASK = TensorSpec("mask", "bool", (3, BATCH))
TABLE = TensorSpec("table", "int64", (4,))
GOOD = {name: filled(spec, 3) for name, spec in (("image", IMAGE), ("mask", MASK), ("table", TABLE))}


def test_tensors_agree_on_the_number_of_samples() -> None:
    assert batch_size((IMAGE, MASK, TABLE), GOOD) == 3
    assert batch_size((TABLE,), {"table": GOOD["table"]}) == 1


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"mask": None}, r"missing tensors \['mask'\]"),
        ({"extra": np.zeros(1)}, r"unknown tensors \['extra'\]"),
        ({"mask": filled(MASK, 2)}, "disagree on the number of samples"),
        ({"table": np.zeros(5, np.int64)}, "tensor 'table': expected shape"),
        ({"image": np.zeros((3, 2))}, "tensor 'image': expected float32, got float64"),
    ],
)
def test_tensors_that_do_not_belong_together_are_refused(changes: dict[str, Array | None], text: str) -> None:
    tensors = {name: array for name, array in (GOOD | changes).items() if array is not None}
    with pytest.raises(InvalidArgumentError, match=text):
        batch_size((IMAGE, MASK, TABLE), tensors)


@given(
    arrays(
        st.sampled_from(["uint8", "bool", "<f4", "int64", "float16"]),
        array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    )
)
def test_what_is_kept_is_the_same_and_cannot_be_changed(array: Array) -> None:
    for each in (array, array.T):
        copy = kept(each)
        assert (copy.dtype, copy.shape) == (each.dtype, each.shape)
        assert copy.tobytes() == each.tobytes()
        assert not np.shares_memory(copy, each)
        assert copy.flags.c_contiguous
        assert not copy.flags.writeable
