"""Samples from a file: arrays named as the model's inputs, first axis the samples, with optional labels."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from splitnet.errors import InvalidArgumentError, NotFoundError
from splitnet.tensors import Array, Tensors, TensorSpec, batch_size


@dataclass(frozen=True, slots=True)
class Samples:
    """What a file holds.

    Attributes:
        inputs: the model's inputs by name, all samples.
        labels: `[n]` integers, or None.
        count: how many samples.
    """

    inputs: Tensors
    labels: Array | None
    count: int

    def sample(self, index: int) -> Tensors:
        """Return one sample as a batch of one (views)."""
        return {name: array[index : index + 1] for name, array in self.inputs.items()}


def read_samples(path: Path, specs: Sequence[TensorSpec], *, limit: int | None = None) -> Samples:
    """Read samples for a model from an `.npz` file; arrays that the model does not take are left alone.

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
    arrays = {name: array[:limit] for name, array in arrays.items()}
    try:
        for spec in specs:
            if spec.batch_axis != 0:
                raise InvalidArgumentError(f"input {spec.name!r} has no batch axis in front: {list(spec.shape)}")
        count = batch_size(tuple(specs), arrays)
    except InvalidArgumentError as err:
        raise InvalidArgumentError(f"{path}: {err}") from err
    if labels is not None:
        labels = labels[:limit]
        if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
            raise InvalidArgumentError(
                f"{path}: labels: expected integers [{count}], got {labels.dtype} {list(labels.shape)}"
            )
    return Samples(arrays, labels, count)


def _load(path: Path, names: Sequence[str]) -> Tensors:
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise InvalidArgumentError(f"{path}: a single array; expected an .npz with arrays {list(names)}")
            if missing := [name for name in names if name not in file]:
                raise InvalidArgumentError(
                    f"{path}: no array {missing[0]!r}; the model's inputs are {list(names)}, the file has {file.files}"
                )
            return {name: file[name] for name in (*names, "labels") if name in file}
    except FileNotFoundError as err:
        raise NotFoundError(f"{path}: no such file") from err
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as err:
        raise InvalidArgumentError(f"{path}: not a readable .npz file: {err}") from err
