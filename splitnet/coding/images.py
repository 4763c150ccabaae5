"""PNG and JPEG by Pillow: one image a sample, each behind its length."""

import io
import struct

import numpy as np
from PIL import Image

from splitnet.coding.layout import ImageFormat, from_pixels, image_size, to_pixels
from splitnet.errors import InvalidArgumentError
from splitnet.tensors import Array

#: How each is written: PNG's fastest compression, half the time of its default; JPEG with 4:2:0 chroma.
_OPTIONS: dict[ImageFormat, dict[str, int]] = {
    "PNG": {"compress_level": 1},
    "JPEG": {"quality": 90},
}
#: The last bytes of a whole image: PNG's IEND chunk, JPEG's end-of-image marker.
_ENDS: dict[ImageFormat, bytes] = {"PNG": b"\0\0\0\0IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}
_LENGTH = struct.Struct("<I")

# Each scan of a JPEG costs a pass over the whole image, however few bytes it has; a baseline image has one, or
# one for each colour, a progressive one any number. The marker stands in no entropy-coded data.
_SCAN, _MOST_SCANS = b"\xff\xda", 3


def encode_images(image_format: ImageFormat, array: Array) -> bytes:
    """Return the images of uint8 `array`: for each a length of 4 bytes, little-endian, and the image.

    Raises:
        InvalidArgumentError: the array holds no images.
    """
    parts: list[bytes] = []
    for pixels in to_pixels(array):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, image_format, **_OPTIONS[image_format])
        image = file.getvalue()
        parts += (_LENGTH.pack(len(image)), image)
    return b"".join(parts)


def decode_images(image_format: ImageFormat, data: bytes, *, dtype: str, shape: tuple[int, ...]) -> Array:
    """Return the images in `data` as an array of `shape`.

    Raises:
        InvalidArgumentError: an array of that type and shape holds no images, there are more or fewer than
            `shape` says, or one is damaged or of another size.
    """
    height, width, channels = image_size(dtype, shape)
    images = _split(data, shape[0])
    pixels = np.empty((shape[0], height, width) + (channels,) * (channels > 1), np.uint8)
    for index, image in enumerate(images):
        pixels[index] = _decoded(image_format, image, (height, width, channels))
    return from_pixels(pixels, shape)


def _split(data: bytes, count: int) -> list[bytes]:
    """Return the images of `data`, before anything is allocated for what they may hold."""
    images: list[bytes] = []
    at = 0
    while at < len(data) and len(images) < count:
        start = at + _LENGTH.size
        length = _LENGTH.unpack_from(data, at)[0] if start <= len(data) else 0
        if not 0 < length <= len(data) - start:
            raise InvalidArgumentError(f"image {len(images)} of {count} is cut off")
        images.append(data[start : start + length])
        at = start + length
    if len(images) != count:
        raise InvalidArgumentError(f"expected {count} images, one a sample, got {len(images)}")
    if at != len(data):
        raise InvalidArgumentError(f"expected {count} images, one a sample, got {len(data) - at} bytes after them")
    return images


def _decoded(image_format: ImageFormat, data: bytes, size: tuple[int, int, int]) -> Array:
    height, width, channels = size
    mode = "L" if channels == 1 else "RGB"
    if image_format == "JPEG" and data.count(_SCAN) > _MOST_SCANS:
        raise InvalidArgumentError(f"expected a baseline JPEG image, got one of more than {_MOST_SCANS} scans")
    try:
        # Opening reads the header only; loading allocates what the header says.
        with Image.open(io.BytesIO(data), formats=[image_format]) as image:
            found = (image.mode, image.width, image.height)
            if found != (mode, width, height):
                raise InvalidArgumentError(
                    f"expected {image_format} images of {mode}, {width} x {height}, got {found[0]}, {found[1]} x "
                    f"{found[2]}"
                )
            pixels: Array = np.asarray(image)
    except InvalidArgumentError:
        raise
    except Exception as err:  # Pillow's readers raise whatever they meet on hostile bytes
        raise InvalidArgumentError(f"expected a whole {image_format} image, got bytes that are none") from err
    if not data.endswith(_ENDS[image_format]):
        raise InvalidArgumentError(f"expected a whole {image_format} image, got one without its end")
    return pixels
