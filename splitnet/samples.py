"""Samples from a file: arrays named as a model's inputs, first axis the samples, with optional labels."""

import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import InvalidArgumentError, NotFoundError
from splitnet.tensors import Array, Tensors, TensorSpec, batch_size, take_samples

#: What numpy and zipfile raise on damaged files; MemoryError and OverflowError where a header claims more than
#: there is, TokenError where it is no Python.
DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    MemoryError,
    OverflowError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples for a model.

    Attributes:
        specs: the model's inputs.
        inputs: by name, all samples along each batch axis.
        labels: `[n]` integers, or None.
        count: how many samples.
    """

    specs: tuple[TensorSpec, ...]
    inputs: Tensors
    labels: NDArray[np.integer] | None
    count: int

    def take(self, which: Sequence[int] | range) -> Tensors:
        """Return the samples `which` as one batch; indices wrap around where there are fewer."""
        indices = np.asarray(which, dtype=np.intp) % self.count
        return {spec.name: take_samples(spec, self.inputs[spec.name], indices) for spec in self.specs}


def read_samples(path: Path, specs: tuple[TensorSpec, ...], *, limit: int | None = None) -> Samples:
    """Read samples from an `.npz` file; arrays that the model does not take are left alone.

    Args:
        path: the file.
        specs: the model's inputs.
        limit: use the first so many samples.

    Raises:
        NotFoundError: there is no such file.
        InvalidArgumentError: it is no `.npz`, an input is missing, or a type, shape or length is wrong.
    """
    arrays = _load(path, [spec.name for spec in specs])
    labels = arrays.pop("labels", None)
    inputs = {spec.name: _first(spec, arrays[spec.name], limit) for spec in specs}
    try:
        count = batch_size(specs, inputs)
    except InvalidArgumentError as err:
        raise InvalidArgumentError(f"{path}: {err}") from err
    if labels is not None:
        labels = labels[:limit] if labels.ndim else labels
        if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
            raise InvalidArgumentError(
                f"{path}: labels: expected integers [{count}], got {labels.dtype} {list(labels.shape)}"
            )
    return Samples(specs, inputs, labels, count)


def check_labels(samples: Samples, classes: int) -> None:
    """Raise InvalidArgumentError where a label is none of the `classes` that the model predicts."""
    if samples.labels is None or not samples.labels.size:
        return
    low, high = int(samples.labels.min()), int(samples.labels.max())
    if low < 0 or high >= classes:
        raise InvalidArgumentError(
            f"labels: expected classes from 0 to {classes - 1}, as the model predicts, got {low} to {high}"
        )


def _first(spec: TensorSpec, array: Array, limit: int | None) -> Array:
    if spec.batch_axis is None or limit is None or array.ndim <= spec.batch_axis:
        return array
    return take_samples(spec, array, np.arange(min(limit, array.shape[spec.batch_axis])))


def _load(path: Path, names: Sequence[str]) -> Tensors:
    try:
        # Opened here, because numpy leaves a file open that turns out to be no zip file.
        with path.open("rb") as file:
            arrays = _arrays(file, names)
    except FileNotFoundError as err:
        raise NotFoundError(f"{path}: no such file") from err
    except InvalidArgumentError as err:
        raise InvalidArgumentError(f"{path}: {err}") from err
    except DAMAGED as err:
        # numpy's advice for what it does not know is to unpickle it, which is no advice for a stranger's file.
        reason = "it is in another format, or damaged" if "pickle" in str(err) else err
        raise InvalidArgumentError(f"{path}: not a readable .npz file: {reason}") from err
    return arrays


def _arrays(file: BinaryIO, names: Sequence[str]) -> Tensors:
    loaded = np.load(file, allow_pickle=False)
    if not isinstance(loaded, np.lib.npyio.NpzFile):
        raise InvalidArgumentError(f"a single array; expected an .npz with arrays {list(names)}")
    with loaded as members:
        if missing := [name for name in names if name not in members]:
            raise InvalidArgumentError(
                f"no array {missing[0]!r}; the model's inputs are {list(names)}, the file has {members.files}"
            )
        arrays = {name: members[name] for name in (*names, "labels") if name in members}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise InvalidArgumentError(f"{name!r} is not an array of numpy's; write the file with numpy.savez")
    return arrays
