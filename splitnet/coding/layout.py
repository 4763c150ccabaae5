"""Which tensors are images, one a sample, and how they lie in their tensor."""

import math
from typing import Literal

import numpy as np

from splitnet.errors import InvalidArgumentError
from splitnet.tensors import Array, TensorSpec

#: How an image may be coded.
ImageFormat = Literal["PNG", "JPEG"]

# JPEG's sizes have 16 bits, of which libjpeg takes these; both together are what Pillow opens without a warning.
_LONGEST_SIDE = 65_500
_MOST_PIXELS = 2**26


def holds_images(spec: TensorSpec) -> bool:
    """Whether a tensor is uint8 `[batch, H, W]`, `[batch, H, W, 1 or 3]` or `[batch, 1 or 3, H, W]`."""
    sizes = spec.shape[1:]
    known = tuple(size for size in sizes if isinstance(size, int))
    return spec.batch_axis == 0 and spec.dtype == "uint8" and known == sizes and _image_size(known) is not None


def image_size(dtype: str, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return height, width and channels of each image of a tensor.

    Raises:
        InvalidArgumentError: the tensor holds no images.
    """
    found = _image_size(shape[1:]) if dtype == "uint8" and shape else None
    if found is None:
        raise InvalidArgumentError(
            f"expected uint8 images [batch, H, W], [batch, H, W, 1 or 3] or [batch, 1 or 3, H, W], each side 1 to "
            f"{_LONGEST_SIDE} and at most {_MOST_PIXELS} pixels, got {dtype} {list(shape)}"
        )
    return found


def to_pixels(array: Array) -> Array:
    """Return images as `[batch, H, W]` or `[batch, H, W, 3]`, as image libraries take them."""
    _height, _width, channels = image_size(str(array.dtype), array.shape)
    if array.ndim == 3:
        return array
    last = array if _channels_last(array.shape[1:]) else array.transpose(0, 2, 3, 1)
    return last if channels == 3 else last[..., 0]


def from_pixels(pixels: Array, shape: tuple[int, ...]) -> Array:
    """Return what `to_pixels` was given, row-major; `shape` was its shape."""
    if pixels.ndim == 4 and not _channels_last(shape[1:]):
        pixels = pixels.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(pixels).reshape(shape)


def _image_size(sizes: tuple[int, ...]) -> tuple[int, int, int] | None:
    if len(sizes) == 2:
        height, width, channels = *sizes, 1
    elif len(sizes) == 3 and _channels_last(sizes):
        height, width, channels = sizes
    elif len(sizes) == 3:
        channels, height, width = sizes
    else:
        return None
    sides = (height, width)
    fits = min(sides) >= 1 and max(sides) <= _LONGEST_SIDE and math.prod(sides) <= _MOST_PIXELS
    return (height, width, channels) if fits and channels in (1, 3) else None


def _channels_last(sizes: tuple[int, ...]) -> bool:
    """Whether `[a, b, c]` is height, width, channels; where both readings are possible, it is."""
    return sizes[-1] in (1, 3)
