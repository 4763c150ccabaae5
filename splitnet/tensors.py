"""TensorSpec: what is known of a tensor without its values."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import InvalidArgumentError

Array: TypeAlias = NDArray[Any]
Tensors: TypeAlias = dict[str, Array]

#: The name of the dimension that counts samples.
BATCH = "batch"

#: Element types that can be an input, an output or a wire, by their numpy names.
DTYPES = (
    "bool",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, element type and shape of a tensor.

    Attributes:
        name: the tensor's name in its ONNX graph.
        dtype: numpy's name of the element type, one of `DTYPES`.
        shape: one entry an axis: a size, or `BATCH` on the axis that counts samples (at most one).
        batch_axis: the axis that counts samples, or None where the tensor has none.
        numpy_dtype: the element type as numpy has it.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    # Looked at several times in each request, so made once.
    batch_axis: int | None = field(init=False, repr=False, compare=False)
    numpy_dtype: np.dtype[Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise InvalidArgumentError(
                f"tensor {self.name!r}: element type {self.dtype!r} is not supported; "
                f"expected one of {', '.join(DTYPES)}"
            )
        for size in self.shape:
            if isinstance(size, str) and size != BATCH:
                raise InvalidArgumentError(
                    f"tensor {self.name!r}: axis {size!r} has no size; only the axis {BATCH!r} may be left open"
                )
            if isinstance(size, int) and size < 0:
                raise InvalidArgumentError(f"tensor {self.name!r}: negative size in shape {self.shape}")
        if self.shape.count(BATCH) > 1:
            raise InvalidArgumentError(f"tensor {self.name!r}: more than one {BATCH!r} axis in shape {self.shape}")
        object.__setattr__(self, "batch_axis", self.shape.index(BATCH) if BATCH in self.shape else None)
        object.__setattr__(self, "numpy_dtype", np.dtype(self.dtype))

    @property
    def sample_nbytes(self) -> int:
        """Bytes of one sample."""
        count = 1
        for size in self.shape:
            count *= size if isinstance(size, int) else 1
        return count * self.numpy_dtype.itemsize

    def check(self, array: Array) -> int:
        """Check that `array` fits and return how many samples it holds (1 without a batch axis).

        Raises:
            InvalidArgumentError: the element type or the shape differs, or the batch is empty.
        """
        if array.dtype != self.numpy_dtype:
            raise InvalidArgumentError(f"tensor {self.name!r}: expected {self.dtype}, got {array.dtype}")
        shape, axis = array.shape, self.batch_axis
        wanted = shape if axis is None else (*shape[:axis], BATCH, *shape[axis + 1 :])
        if wanted != self.shape or len(shape) != len(self.shape):
            raise InvalidArgumentError(
                f"tensor {self.name!r}: expected shape {list(self.shape)}, got {list(shape)}"
            )
        samples = 1 if axis is None else shape[axis]
        if samples == 0:
            raise InvalidArgumentError(f"tensor {self.name!r}: the batch is empty; send at least one sample")
        return samples


def batch_size(specs: tuple[TensorSpec, ...], tensors: Tensors) -> int:
    """Check `tensors` against `specs` by name and return the number of samples they agree on.

    Raises:
        InvalidArgumentError: a tensor is missing, unknown, of another type or shape, or the batches differ.
    """
    if len(tensors) != len(specs):
        raise _misnamed(specs, tensors)
    samples = None
    for spec in specs:
        if (array := tensors.get(spec.name)) is None:
            raise _misnamed(specs, tensors)
        found = spec.check(array)
        if spec.batch_axis is None or found == samples:
            continue
        if samples is not None:
            sizes = {each.name: each.check(tensors[each.name]) for each in specs if each.batch_axis is not None}
            raise InvalidArgumentError(f"tensors disagree on the number of samples: {sizes}")
        samples = found
    return samples if samples is not None else 1


def _misnamed(specs: tuple[TensorSpec, ...], tensors: Tensors) -> InvalidArgumentError:
    expected = {spec.name for spec in specs}
    if missing := expected - tensors.keys():
        return InvalidArgumentError(f"missing tensors {sorted(missing)}; expected {sorted(expected)}")
    return InvalidArgumentError(
        f"unknown tensors {sorted(tensors.keys() - expected)}; expected {sorted(expected)}"
    )


def take_samples(spec: TensorSpec, array: Array, which: NDArray[np.intp]) -> Array:
    """Return the samples `which` of `array`, C-contiguous, along the batch axis of `spec`."""
    axis = spec.batch_axis
    return array if axis is None else np.ascontiguousarray(np.take(array, which, axis=axis))


def kept(array: Array) -> Array:
    """Return a copy that nobody can change, C-contiguous.

    Made without letting other threads run: where numpy copies 500 elements or more it does, and the copying thread
    then waits, up to milliseconds where they are busy, to go on.
    """
    return np.ndarray(array.shape, array.dtype, array.tobytes())
