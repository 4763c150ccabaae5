"""Coded bytes of a stranger: refused by name, and before they cost more than what they say they are."""

import io
import struct
import sys
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from splitnet.coding import CodingName, decode, encode, is_available
from splitnet.errors import InvalidArgumentError
from splitnet.tensors import Array

ONES = np.ones((2, 40, 30), np.uint8)
PATTERN = (np.arange(2400) % 251).astype(np.uint8).reshape(2, 40, 30)
BOMB = zstd.compress(bytes(2**28), 19)


def read(coding: str, data: bytes, **changes: Any) -> Array:
    fields: dict[str, Any] = {"dtype": "uint8", "shape": (2, 40, 30), "max_bytes": 2400}
    return decode(coding, data, **(fields | changes))


def refused(text: str, coding: str, data: bytes, **changes: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=text):
        read(coding, data, **changes)


def unsized(content: bytes) -> bytes:
    """A frame that does not state its content's size."""
    compressor = zstd.ZstdCompressor()
    return compressor.compress(content, zstd.ZstdCompressor.FLUSH_BLOCK) + compressor.flush()


def image(image_format: str, size: tuple[int, int], mode: str = "L", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, image_format, **options)
    return file.getvalue()


def images(*each: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(one)) + one for one in each)


def png_that_says(width: int, height: int) -> bytes:
    """A PNG whose header promises any size, over the content of a small one."""
    png = bytearray(image("PNG", (30, 40)))
    png[16:24] = struct.pack(">II", width, height)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    return bytes(png)


ZSTD = encode("zstd", ONES)
PNG, JPEG = image("PNG", (30, 40)), image("JPEG", (30, 40))
WRONG = [
    ("unknown; expected one of none, zstd,", "gzip", ZSTD, {}),
    ("unknown", "z" * 100_000, ZSTD, {}),
    ("regroups bytes", "zstd-shuffle", ZSTD, {}),
    ("a Zstandard frame", "zstd", b"", {}),
    ("a Zstandard frame", "zstd", b"\xff" * 100, {}),
    ("a Zstandard frame", "zstd", ZSTD[:4], {}),
    ("a Zstandard frame|cut off", "zstd", ZSTD[:-1], {}),
    ("got 3 bytes after its end", "zstd", ZSTD + b"end", {}),
    ("after its end", "zstd", ZSTD + ZSTD, {}),
    ("states a size of 2400 bytes", "zstd", zstd.compress(bytes(2399)), {}),
    ("states a size of 2400 bytes", "zstd", zstd.compress(bytes(2401)), {}),
    ("states a size of 2400 bytes", "zstd", unsized(bytes(2400)), {}),
    ("states a size of 2400 bytes", "zstd", b"\x50\x2a\x4d\x18\x04\0\0\0skip", {}),
    ("states a size of 2400 bytes", "zstd", BOMB, {}),
    ("expected 2400 bytes", "none", bytes(2399), {}),
    ("expected 2400 bytes", "none", bytes(2401), {}),
    ("more than 2399 bytes when decoded", "zstd", ZSTD, {"max_bytes": 2399}),
    ("more than 2400 bytes when decoded", "zstd", BOMB, {"shape": (2**28,)}),
    ("more than 2400 bytes when decoded", "zstd", BOMB, {"shape": (2**62, 2**62)}),
    ("more than 2400 bytes when decoded", "zstd", ZSTD, {"shape": (0, 2**62)}),
    ("negative size", "zstd", ZSTD, {"shape": (-2, -40, 30)}),
    ("element type 'float8' is not supported", "zstd", ZSTD, {"dtype": "float8"}),
    ("element type 'object'", "zstd", ZSTD, {"dtype": "object"}),
    ("bytes 0 and 1 for bool", "zstd", encode("zstd", 2 * ONES), {"dtype": "bool"}),
    ("expected uint8 images", "png", images(PNG), {"dtype": "int8"}),
    ("expected uint8 images", "jpeg", images(JPEG), {"shape": (2400,)}),
    ("expected uint8 images", "png", images(PNG), {"shape": ()}),
    ("expected uint8 images", "png", images(PNG), {"shape": (2, 0, 30)}),
    ("expected 2 images, one a sample, got 1", "png", images(PNG), {}),
    ("expected 2 images, one a sample, got 0", "png", b"", {}),
    ("got 1 bytes after them", "png", images(PNG, PNG) + b"\0", {}),
    ("after them", "jpeg", images(JPEG, JPEG, JPEG), {}),
    ("image 1 of 2 is cut off", "png", images(PNG, PNG)[:-1], {}),
    ("image 1 of 2 is cut off", "png", images(PNG) + b"\1\0", {}),
    ("image 0 of 2 is cut off", "png", b"\0\0\0\0" + images(PNG), {}),
    ("image 0 of 2 is cut off", "png", b"\xff\xff\xff\xff" + PNG, {}),
    ("a whole PNG image", "png", images(PNG, b"no image"), {}),
    ("a whole PNG image", "png", images(PNG, PNG[:-20]), {}),
    ("a whole PNG image", "png", images(PNG, JPEG), {}),
    ("a whole JPEG image", "jpeg", images(JPEG, PNG), {}),
    ("without its end", "png", images(PNG, PNG + b"more"), {}),
    ("without its end", "jpeg", images(JPEG, JPEG + b"more"), {}),
    ("more than 3 scans", "jpeg", images(JPEG, image("JPEG", (30, 40), progressive=True)), {}),
    ("PNG images of L, 30 x 40, got L, 40 x 30", "png", images(PNG, image("PNG", (40, 30))), {}),
    ("PNG images of L, 30 x 40, got RGB", "png", images(PNG, image("PNG", (30, 40), "RGB")), {}),
    ("PNG images of L, 30 x 40, got 1", "png", images(image("PNG", (30, 40), "1"), PNG), {}),
    ("got P, 30 x 40", "png", images(image("PNG", (30, 40), "P"), PNG), {}),
    ("got I;16, 30 x 40", "png", images(image("PNG", (30, 40), "I;16"), PNG), {}),
    ("got CMYK", "jpeg", images(JPEG, image("JPEG", (30, 40), "CMYK")), {}),
    ("got L, 9000 x 9000", "png", images(PNG, png_that_says(9_000, 9_000)), {}),
    ("PNG image", "png", images(PNG, png_that_says(10_000, 10_000)), {}),
    ("PNG image", "png", images(PNG, png_that_says(2**31 - 1, 2**31 - 1)), {}),
]


@pytest.mark.parametrize(
    ("text", "coding", "data", "changes"),
    [pytest.param(*case, id=f"{index}: {case[1][:12]}: {case[0]}") for index, case in enumerate(WRONG)],
)
def test_what_is_wrong_is_named(text: str, coding: str, data: bytes, changes: dict[str, Any]) -> None:
    tracemalloc.start()
    try:
        refused(text, coding, data, **changes)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_no_text_is_longer_than_a_status_line_takes() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read("z" * 100_000, b"")
    assert len(str(caught.value)) < 300


def test_a_frame_that_lies_about_its_size_is_refused() -> None:
    frame = bytearray(zstd.compress(bytes(100_000)))
    header = frame.index(struct.pack("<I", 100_000))
    frame[header : header + 4] = struct.pack("<I", 2400)
    assert zstd.get_frame_info(frame).decompressed_size == 2400
    refused("Zstandard frame", "zstd", bytes(frame))


@pytest.mark.parametrize(
    ("coding", "array"), [("zstd-shuffle", np.zeros(3, np.int8)), ("png", np.zeros((1, 2, 2)))]
)
def test_arrays_that_a_coding_does_not_take(coding: CodingName, array: Array) -> None:
    with pytest.raises(InvalidArgumentError, match=r"regroups bytes|expected uint8 images"):
        encode(coding, array)


@pytest.mark.parametrize("coding", ["png", "jpeg"])
def test_a_coding_that_is_not_installed_is_refused(coding: CodingName, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_available(coding)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)  # as Python marks what it did not find
    assert not is_available(coding)
    assert is_available("zstd")
    refused("needs the extra `images`", coding, images(PNG, PNG))
    with pytest.raises(InvalidArgumentError, match="needs the extra `images`"):
        encode(coding, ONES)


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    """Good bytes with some replaced, cut out, doubled or added."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        stop = min(len(data), start + draw(st.integers(0, 8)))
        data[start:stop] = draw(st.binary(max_size=8) | st.just(bytes(data[start:stop]) * 2))
    return bytes(data)


@given(data=st.data(), coding=st.sampled_from(["zstd", "png", "jpeg"]))
@settings(max_examples=300)
def test_mutations_are_decoded_to_the_shape_or_refused(data: st.DataObject, coding: CodingName) -> None:
    coded = data.draw(mutated(encode(coding, PATTERN)))
    try:
        array = read(coding, coded)
    except InvalidArgumentError:
        return
    assert (array.dtype.name, array.shape) == ("uint8", (2, 40, 30))


@given(st.binary(max_size=200), st.sampled_from(["zstd", "png", "jpeg", "none"]))
def test_any_bytes(data: bytes, coding: CodingName) -> None:
    refused("expected|cut off|more than", coding, data)
