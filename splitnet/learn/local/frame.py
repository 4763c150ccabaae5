"""A frame: a JSON header and a float32 vector, as they pass between processes or lie in a file.

It is the length of the header (4 bytes, little-endian), the header (UTF-8 JSON, an object), and the values of the
vector (little-endian float32).
"""

import json
from typing import Any

import numpy as np

from splitnet.learn.vector import Vector

Header = dict[str, Any]

_LENGTH_BYTES = 4


def pack(header: Header, vector: Vector) -> bytes:
    """Return the frame of a header and a vector `[d]`."""
    text = json.dumps(header).encode()
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text + np.ascontiguousarray(vector, "<f4").tobytes()


def unpack(frame: bytes) -> tuple[Header, Vector]:
    """Return header and vector; the opposite of `pack`.

    Raises:
        ValueError: it is no frame, or one that was cut off.
    """
    stop = _LENGTH_BYTES + int.from_bytes(frame[:_LENGTH_BYTES], "little")
    if len(frame) < max(stop, _LENGTH_BYTES):
        raise ValueError(f"{len(frame)} bytes: a frame with that header has at least {stop}")
    header = json.loads(frame[_LENGTH_BYTES:stop])
    if not isinstance(header, dict):
        raise ValueError("the header is no object")  # noqa: TRY004  (one error for all that is no frame)
    return header, np.frombuffer(frame[stop:], "<f4").astype(np.float32)
