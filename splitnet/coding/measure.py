"""What a coding costs and saves on samples of a tensor, for the planner."""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from splitnet.codec_names import CodingName
from splitnet.coding.codings import decode, encode
from splitnet.errors import InvalidArgumentError
from splitnet.tensors import Array

_T = TypeVar("_T")


class Measured(NamedTuple):
    """A coding as measured here.

    Attributes:
        bytes_per_sample: mean size as it would be sent: plain where coding makes it larger.
        encode_ms: median time to encode a sample, ms.
        decode_ms: median time to decode one, ms.
    """

    bytes_per_sample: float
    encode_ms: float
    decode_ms: float


def measure(coding: CodingName, arrays: Sequence[Array]) -> Measured:
    """Measure a coding.

    Args:
        coding: which.
        arrays: the tensor as it is sent for one sample each.

    Raises:
        InvalidArgumentError: there are no samples, or the coding is not available or does not apply.
    """
    if not arrays:
        raise InvalidArgumentError("expected at least one sample to measure a coding on, got none")
    _round_trip(coding, arrays[0])  # the first one pays for loading
    sizes, encode_ms, decode_ms = zip(*(_round_trip(coding, array) for array in arrays), strict=True)
    return Measured(statistics.fmean(sizes), statistics.median(encode_ms), statistics.median(decode_ms))


def _round_trip(coding: CodingName, array: Array) -> tuple[int, float, float]:
    coded, encode_ms = _timed(lambda: encode(coding, array))
    dtype, shape = str(array.dtype), array.shape
    _decoded, decode_ms = _timed(lambda: decode(coding, coded, dtype=dtype, shape=shape, max_bytes=sys.maxsize))
    return min(len(coded), array.nbytes), encode_ms, decode_ms


def _timed(call: Callable[[], _T]) -> tuple[_T, float]:
    start = time.perf_counter()
    result = call()
    return result, (time.perf_counter() - start) * 1e3
