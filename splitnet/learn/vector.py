"""The trainable parameters as one flat float32 vector: how they travel, and what a round knows its model by."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import InvalidArgumentError
from splitnet.package import TensorEntry, TrainingEntry
from splitnet.tensors import Array, Tensors

#: `[d]` float32.
Vector = NDArray[np.float32]


def size(entries: Sequence[TensorEntry]) -> int:
    """Return d, the number of values of all `entries` together."""
    return sum(_count(entry) for entry in entries)


def flatten(entries: Sequence[TensorEntry], tensors: Mapping[str, Array]) -> Vector:
    """Return the tensors of `entries` as one vector `[d]`: each in C order, one after the other.

    Raises:
        InvalidArgumentError: a tensor is missing, or of another type or shape; others are left alone.
    """
    if missing := [entry.name for entry in entries if entry.name not in tensors]:
        raise InvalidArgumentError(f"no values for {missing}; expected {[entry.name for entry in entries]}")
    vector = np.empty(size(entries), np.float32)
    start = 0
    for entry in entries:
        entry.to_spec().check(tensors[entry.name])
        stop = start + _count(entry)
        vector[start:stop] = tensors[entry.name].ravel()
        start = stop
    return vector


def unflatten(entries: Sequence[TensorEntry], vector: Vector) -> Tensors:
    """Return the tensors of `entries` by name; the opposite of `flatten`. They are views of `vector`.

    Raises:
        InvalidArgumentError: `vector` is not float32 `[d]`.
    """
    _check(entries, vector)
    ends = np.cumsum([_count(entry) for entry in entries])
    parts = np.split(vector, ends[:-1])
    return {entry.name: part.reshape(_shape(entry)) for entry, part in zip(entries, parts, strict=True)}


def model_digest(training: TrainingEntry, vector: Vector) -> bytes:
    """Return the 32 bytes by which devices and server know that they speak of one model in a round.

    It is the SHA-256 of the manifest's training entry as canonical JSON, which names every graph of the training
    by its digest, and then of the vector's values, little-endian.

    Raises:
        InvalidArgumentError: `vector` is not float32 `[d]`.
    """
    _check(training.parameters, vector)
    text = json.dumps(training.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode())
    digest.update(np.ascontiguousarray(vector, dtype="<f4").tobytes())
    return digest.digest()


def _shape(entry: TensorEntry) -> tuple[int, ...]:
    fixed = tuple(extent for extent in entry.shape if isinstance(extent, int))
    if len(fixed) != len(entry.shape) or entry.dtype != "float32":
        raise InvalidArgumentError(
            f"{entry.name!r}: {entry.dtype} {list(entry.shape)} is no parameter; those are float32 of fixed shape"
        )
    return fixed


def _count(entry: TensorEntry) -> int:
    return math.prod(_shape(entry))


def _check(entries: Sequence[TensorEntry], vector: Vector) -> None:
    expected = size(entries)
    if vector.dtype != np.float32 or vector.shape != (expected,):
        raise InvalidArgumentError(
            f"parameters: expected float32 [{expected}], got {vector.dtype} {list(vector.shape)}"
        )
