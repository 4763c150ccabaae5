"""What is encoded is decoded, to the bit where a coding is lossless, and is small where it should be."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.coding import CODINGS, CodingName, decode, encode, is_applicable, is_lossless
from splitnet.coding.planes import join, split
from splitnet.tensors import BATCH, Array, TensorSpec
from tests.protocol.strategies import arrays, bits

LOSSLESS_BYTES: tuple[CodingName, ...] = ("none", "zstd", "zstd-shuffle")
SIDES = st.integers(1, 9)
IMAGE_SHAPES = st.builds(
    lambda batch, sides, channels, last: (
        (batch, *sides) if channels is None else (batch, *sides, channels) if last else (batch, channels, *sides)
    ),
    st.integers(0, 4),
    st.tuples(SIDES, SIDES),
    st.sampled_from([None, 1, 3]),
    st.booleans(),
)


def there_and_back(coding: CodingName, array: Array) -> Array:
    back = decode(
        coding, encode(coding, array), dtype=array.dtype.name, shape=array.shape, max_bytes=max(1, 8 * 5**5)
    )
    assert not back.flags.writeable
    assert back.flags.aligned
    assert back.flags.c_contiguous
    assert back.dtype.isnative
    return back


@given(arrays(), st.sampled_from(LOSSLESS_BYTES))
def test_any_array_comes_back_to_the_bit(array: Array, coding: CodingName) -> None:
    if is_applicable(coding, TensorSpec("t", array.dtype.name, array.shape)):
        assert bits(there_and_back(coding, array)) == bits(array)


@given(IMAGE_SHAPES, st.integers(0, 2**32 - 1))
def test_any_images_come_back_from_png_to_the_bit(shape: tuple[int, ...], seed: int) -> None:
    array = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    assert bits(there_and_back("png", array)) == bits(array)


@given(IMAGE_SHAPES, st.integers(0, 255))
def test_even_images_come_back_from_jpeg_nearly(shape: tuple[int, ...], level: int) -> None:
    array = np.full(shape, level, np.uint8)
    back = there_and_back("jpeg", array)
    assert back.shape == shape
    assert np.abs(back.astype(int) - array).max(initial=0) <= 2


def picture(*, channels_last: bool) -> Array:
    """A smooth picture `[2, ...]` of 64 x 48, each colour another, the second brighter."""
    y, x = np.mgrid[0:48, 0:64]
    colours = np.stack([2 * x, 3 * y, 60 + x + y], axis=-1)
    both = np.stack([colours, colours + 50]).astype(np.uint8)
    return both if channels_last else np.ascontiguousarray(both.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("channels_last", [True, False])
def test_a_jpeg_is_small_and_keeps_colours_apart(channels_last: bool) -> None:  # noqa: FBT001  (a parameter)
    array = picture(channels_last=channels_last)
    coded = encode("jpeg", array)
    assert len(coded) < array.nbytes / 5
    back = decode("jpeg", coded, dtype="uint8", shape=array.shape, max_bytes=array.nbytes)
    error = np.abs(back.astype(int) - array)
    assert 0 < error.mean() < 3
    assert error.max() < 25
    assert not is_lossless("jpeg")


def test_each_image_stands_behind_its_length() -> None:
    array = picture(channels_last=True)
    coded = encode("png", array)
    first = int.from_bytes(coded[:4], "little")
    assert coded[4:12] == b"\x89PNG\r\n\x1a\n"
    second = int.from_bytes(coded[4 + first : 8 + first], "little")
    assert len(coded) == 8 + first + second
    assert encode("png", array[:1]) == coded[: 4 + first]


def test_planes_regroup_the_bytes_of_elements() -> None:
    plain = bytes(range(12))
    assert bytes(split(plain, 4)) == bytes([0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11])
    assert join(bytes(split(plain, 4)), 4).tobytes() == plain


def test_planes_of_numbers_of_one_size_compress_better() -> None:
    values = np.random.default_rng(0).uniform(1, 2, (4, 1000)).astype(np.float32)
    assert len(encode("zstd-shuffle", values)) < 0.9 * len(encode("zstd", values)) < 0.95 * values.nbytes


def test_zeros_become_few_bytes() -> None:
    zeros = np.zeros((1, 64, 56, 56), np.uint8)
    assert len(encode("zstd", zeros)) < 100
    assert len(encode("none", zeros)) == zeros.nbytes


def test_all_but_jpeg_are_lossless() -> None:
    assert {coding for coding in CODINGS if is_lossless(coding)} == {"none", "zstd", "zstd-shuffle", "png"}


@pytest.mark.parametrize(
    ("dtype", "shape", "images", "shuffles"),
    [
        ("uint8", (BATCH, 8, 9), True, False),
        ("uint8", (BATCH, 8, 9, 3), True, False),
        ("uint8", (BATCH, 1, 8, 9), True, False),
        ("uint8", (BATCH, 3, 65_500, 9), True, False),
        ("uint8", (BATCH, 3, 65_501, 9), False, False),
        ("uint8", (BATCH, 8_193, 8_192), False, False),
        ("uint8", (BATCH, 2, 8, 9), False, False),
        ("uint8", (BATCH, 3, 0, 9), False, False),
        ("uint8", (BATCH, 64), False, False),
        ("uint8", (BATCH, 3, 8, 9, 3), False, False),
        ("uint8", (3, 8, BATCH), False, False),
        ("uint8", (1, 8, 9), False, False),
        ("uint8", (), False, False),
        ("int8", (BATCH, 8, 9), False, False),
        ("bool", (BATCH, 8, 9), False, False),
        ("float16", (BATCH, 8, 9), False, True),
        ("int64", (), False, True),
    ],
)
def test_what_a_coding_applies_to(dtype: str, shape: tuple[int | str, ...], images: bool, shuffles: bool) -> None:  # noqa: FBT001
    spec = TensorSpec("t", dtype, shape)
    found = {coding for coding in CODINGS if is_applicable(coding, spec)}
    assert found == {"none", "zstd"} | ({"png", "jpeg"} if images else set()) | (
        {"zstd-shuffle"} if shuffles else set()
    )


@given(st.sampled_from(["png", "jpeg"]), IMAGE_SHAPES)
def test_what_applies_to_the_spec_codes_the_array(coding: CodingName, shape: tuple[int, ...]) -> None:
    assert is_applicable(coding, TensorSpec("t", "uint8", (BATCH, *shape[1:])))
    array = np.zeros(shape, np.uint8)
    assert decode(coding, encode(coding, array), dtype="uint8", shape=shape, max_bytes=sys.maxsize).shape == shape
