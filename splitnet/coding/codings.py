"""The codings by name: what each applies to, and arrays to bytes and back (docs/protocol.md)."""

import importlib
import math
from typing import Any

import numpy as np

from splitnet.codec_names import CODINGS, CodingName
from splitnet.coding import planes, zstd
from splitnet.coding.layout import ImageFormat, holds_images
from splitnet.errors import InvalidArgumentError
from splitnet.tensors import DTYPES, Array, TensorSpec

_IMAGE_FORMATS: dict[str, ImageFormat] = {"png": "PNG", "jpeg": "JPEG"}


def encode(coding: CodingName, array: Array) -> bytes:
    """Return the values of `array`, row-major and little-endian, coded.

    Raises:
        InvalidArgumentError: there is no such coding here, or it does not apply to this array.
    """
    _check_coding(coding, array.dtype)
    if coding in _IMAGE_FORMATS:
        from splitnet.coding.images import encode_images  # noqa: PLC0415  (it needs an optional package)

        return encode_images(_IMAGE_FORMATS[coding], array)
    values = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    plain = values.reshape(-1).view(np.uint8).data
    if coding == "none":
        return bytes(plain)
    return zstd.compress(planes.split(plain, values.itemsize) if coding == "zstd-shuffle" else plain)


def decode(coding: str, data: bytes, *, dtype: str, shape: tuple[int, ...], max_bytes: int) -> Array:
    """Return the array that `encode` was given, read-only.

    Nothing larger than the array is allocated, and that only once `data` states that very size, or holds as many
    images as there are samples.

    Args:
        coding: how `data` is coded; may come from a peer, as may all the others but the last.
        data: the coded bytes.
        dtype: the array's element type, numpy's name.
        shape: its shape.
        max_bytes: the largest array to make.

    Raises:
        InvalidArgumentError: there is no such coding here, it does not apply, the array would be too large, or
            `data` is not exactly one such array.
    """
    kind = _checked_kind(dtype, shape, max_bytes)
    _check_coding(coding, kind)
    if coding in _IMAGE_FORMATS:
        from splitnet.coding.images import decode_images  # noqa: PLC0415  (it needs an optional package)

        array = decode_images(_IMAGE_FORMATS[coding], data, dtype=dtype, shape=shape)
    else:
        array = _from_bytes(coding, data, kind.newbyteorder("<"), shape)
    array.setflags(write=False)
    return array


def is_lossless(coding: CodingName) -> bool:
    """Whether decoding gives back the very values."""
    return coding != "jpeg"


def is_applicable(coding: CodingName, spec: TensorSpec) -> bool:
    """Whether a tensor can be coded so: images as images, planes where elements have more than one byte."""
    if coding in _IMAGE_FORMATS:
        return holds_images(spec)
    return coding != "zstd-shuffle" or np.dtype(spec.dtype).itemsize > 1


def is_available(coding: str) -> bool:
    """Whether this installation has what the coding needs, and load it: Pillow is in the extra `images`."""
    if coding in _IMAGE_FORMATS:
        try:
            importlib.import_module("PIL.Image")
        except ImportError:
            return False
    return True


def _check_coding(coding: str, kind: np.dtype[Any]) -> None:
    if coding not in CODINGS:
        raise InvalidArgumentError(f"coding {coding[:80]!r} is unknown; expected one of {', '.join(CODINGS)}")
    if coding == "zstd-shuffle" and kind.itemsize == 1:
        raise InvalidArgumentError(f"coding 'zstd-shuffle' regroups bytes, and {kind} has one; use 'zstd'")
    if not is_available(coding):
        raise InvalidArgumentError(
            f"coding {coding!r} needs the extra `images` of splitnet, which is not installed here; send another"
        )


def _checked_kind(dtype: str, shape: tuple[int, ...], max_bytes: int) -> np.dtype[Any]:
    if dtype not in DTYPES:
        raise InvalidArgumentError(
            f"element type {dtype[:80]!r} is not supported; expected one of {', '.join(DTYPES)}"
        )
    kind = np.dtype(dtype)
    if min(shape, default=0) < 0:
        raise InvalidArgumentError(f"negative size in shape {list(shape)}")
    # An empty axis does not excuse the others: numpy refuses such a shape too.
    size_bytes = math.prod(size or 1 for size in shape) * kind.itemsize
    if size_bytes > max_bytes:
        raise InvalidArgumentError(f"shape {list(shape)} of {dtype} has more than {max_bytes} bytes when decoded")
    return kind


def _from_bytes(coding: str, data: bytes, kind: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    size_bytes = math.prod(shape) * kind.itemsize
    plain = data if coding == "none" else zstd.decompress(data, size_bytes)
    if len(plain) != size_bytes:
        raise InvalidArgumentError(f"expected {size_bytes} bytes for {kind} {list(shape)}, got {len(plain)}")
    flat = planes.join(plain, kind.itemsize) if coding == "zstd-shuffle" else np.frombuffer(plain, np.uint8)
    if kind == np.bool_ and flat.size and flat.max() > 1:
        raise InvalidArgumentError("expected bytes 0 and 1 for bool, got others")
    return np.asarray(flat.view(kind).reshape(shape), dtype=kind.newbyteorder("="))
