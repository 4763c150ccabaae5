"""Leg messages as Flower's records: small things in a ConfigRecord, everything large in an ArrayRecord."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from numpy.typing import NDArray

from splitnet.errors import PeerProtocolError
from splitnet.learn.legs import LegMessage
from splitnet.tensors import Tensors

#: Legs are message types of this category with the leg's name behind the dot.
CATEGORY = "train"

_SMALL = "splitnet"
_LARGE = "splitnet.arrays"
_BODY = "body"
# Flower sends a ConfigRecord in one piece, arrays in pieces of 5 MB; an array costs three more requests each way.
_LARGEST_IN_CONFIG_BYTES = 64 * 1024


def to_records(message: LegMessage) -> RecordDict:
    """Return the message as the content of a Flower message."""
    small: dict[str, bytes] = {"header": message.header}
    arrays = {f"vector.{name}": vector for name, vector in message.vectors.items()}
    if len(message.body) <= _LARGEST_IN_CONFIG_BYTES:
        small[_BODY] = message.body
    else:
        arrays[_BODY] = np.frombuffer(message.body, np.uint8)
    records = RecordDict({_SMALL: ConfigRecord(dict(small))})
    if arrays:
        records[_LARGE] = ArrayRecord({name: Array(np.ascontiguousarray(array)) for name, array in arrays.items()})
    return records


def from_records(records: RecordDict) -> LegMessage:
    """Return the message that `to_records` wrote.

    Raises:
        PeerProtocolError: it is none.
    """
    try:
        small = records.config_records[_SMALL]
        arrays = _arrays(records)
        header = small["header"]
        body = small[_BODY] if _BODY in small else arrays.pop(_BODY).tobytes()
    except (KeyError, ValueError, TypeError) as err:
        raise PeerProtocolError(f"Flower message: not of a federated round of SplitNet ({err})") from err
    if not isinstance(header, bytes) or not isinstance(body, bytes):
        raise PeerProtocolError("Flower message: header and body must be bytes")
    vectors = {name.removeprefix("vector."): array for name, array in arrays.items()}
    return LegMessage(header, body, vectors)


def _arrays(records: RecordDict) -> Tensors:
    found: Mapping[str, Array] = records.array_records.get(_LARGE, {})
    return {name: _values(name, array) for name, array in found.items()}


def _values(name: str, array: Array) -> NDArray[Any]:
    """Return the values of an array that anyone may have written.

    Raises:
        PeerProtocolError: it is none.
    """
    try:
        values: object = array.numpy()
    except Exception as err:  # zip, header and length errors of numpy are of a dozen kinds
        raise PeerProtocolError(f"Flower message: array {name!r} cannot be read ({type(err).__name__})") from err
    if not isinstance(values, np.ndarray) or values.dtype.hasobject:
        raise PeerProtocolError(f"Flower message: array {name!r} is a {type(values).__name__}")
    return values
