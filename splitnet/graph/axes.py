"""AxisFit: the size of an axis as an affine function of the batch size, and its text in an ONNX shape."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from splitnet.tensors import BATCH

_TEXT = re.compile(rf"(?:(\d+)\*)?{BATCH}(?: ([+-]) (\d+))?")


@dataclass(frozen=True, slots=True)
class AxisFit:
    """The size of an axis: `per_sample * batch + constant`."""

    per_sample: int
    constant: int

    @property
    def is_batch(self) -> bool:
        """Whether the axis counts samples, one entry each."""
        return (self.per_sample, self.constant) == (1, 0)

    @property
    def dimension(self) -> int | str:
        """The axis as written into an ONNX shape: 64, "batch", "64*batch" or "2*batch + 1"."""
        if self.per_sample == 0:
            return self.constant
        text = BATCH if self.per_sample == 1 else f"{self.per_sample}*{BATCH}"
        if self.constant:
            text += f" {'+' if self.constant > 0 else '-'} {abs(self.constant)}"
        return text

    @classmethod
    def from_dimension(cls, dimension: int | str | None) -> "AxisFit | None":
        """Read what `dimension` wrote; None where the size is not known to follow from the batch size."""
        if isinstance(dimension, int):
            return cls(0, dimension)
        match = _TEXT.fullmatch(dimension or "")
        if match is None:
            return None
        factor, sign, constant = match.groups(default="")
        return cls(int(factor or 1), int(sign + (constant or "0")))

    @classmethod
    def fit(cls, batches: Sequence[int], sizes: Sequence[int]) -> "AxisFit | None":
        """Fit sizes seen at distinct batch sizes; a single sighting counts as constant.

        Returns:
            The fit, exact at every sighting, or None where no affine function of growing size fits.
        """
        if len(sizes) == 1:
            return cls(0, sizes[0])
        per_sample, rest = divmod(sizes[1] - sizes[0], batches[1] - batches[0])
        constant = sizes[0] - per_sample * batches[0]
        exact = all(per_sample * batch + constant == size for batch, size in zip(batches, sizes, strict=True))
        return cls(per_sample, constant) if rest == 0 and per_sample >= 0 and exact else None


def axis_fits(value: ir.Value) -> tuple[AxisFit | None, ...] | None:
    """Return the fit of every axis of `value`, None for an open axis; None where the rank is unknown.

    The shape itself is the record: `record_shapes` writes fits into it as sizes and expressions in "batch".
    """
    if value.shape is None:
        return None
    dimensions = (dim if isinstance(dim, int) else dim.value for dim in value.shape.dims)
    return tuple(AxisFit.from_dimension(dim) for dim in dimensions)
