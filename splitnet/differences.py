"""How far answers are apart: to the bit, by how much, and in what they predict."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splitnet.tensors import Array, Tensors

# Relative to outputs that are all zero, any difference is large, but finite.
_TINY = 1e-30
_HUGE = float(np.finfo(np.float64).max)


@dataclass(slots=True)
class Differences:
    """The largest differences seen so far, and how often predicted classes agreed or were right.

    Attributes:
        equal: whether all was equal to the bit.
        max_abs: the largest difference of a value.
        max_rel: the same, relative to the largest value of its output.
        max_rel_values: the largest of those of outputs that predict no classes; None without such outputs.
        samples: how many were compared; whoever compares counts them.
        classified: predictions that were compared.
        agreeing: how many of those are of the same class.
        labelled: predictions that were held against labels.
        right: how many of those were right.
        expected_right: how many would have been, as expected.
    """

    equal: bool = True
    max_abs: float = 0.0
    max_rel: float = 0.0
    max_rel_values: float | None = None
    samples: int = 0
    classified: int = 0
    agreeing: int = 0
    labelled: int = 0
    right: int = 0
    expected_right: int = 0

    def figures(self) -> dict[str, Any]:
        """Return what a package's manifest says of the comparison, by its field's name."""
        names = ("max_abs", "max_rel", "max_rel_values", "samples", "agreement", "accuracy", "accuracy_drop")
        return {name: getattr(self, name) for name in names}

    def add(self, expected: Tensors, actual: Tensors, count: int) -> None:
        """Compare the outputs of `count` samples by name."""
        classify = any(predicts_classes(want, count) for want in expected.values())
        for name, want in expected.items():
            got = actual[name]
            is_value = not predicts_classes(want, count)
            if not is_value:
                self.classified += count
                self.agreeing += int((want.argmax(axis=1) == got.argmax(axis=1)).sum())
            # One number a sample beside classes is how sure they are: it follows from them.
            counts = is_value and not (classify and want.size == count)
            if counts:
                self.max_rel_values = self.max_rel_values or 0.0
            if not bit_equal(want, got):
                self.equal = False
                relative = self._widen(want, got)
                if counts:
                    self.max_rel_values = max(self.max_rel_values or 0.0, relative)

    def score(self, expected: Array, actual: Array, labels: NDArray[np.integer]) -> None:
        """Hold the classes that two outputs `[samples, classes]` predict against `labels`."""
        self.labelled += labels.size
        self.right += int((actual.argmax(axis=1) == labels).sum())
        self.expected_right += int((expected.argmax(axis=1) == labels).sum())

    def _widen(self, want: Array, got: Array) -> float:
        """Take account of two arrays that differ, and return by how much relative to the largest value."""
        wide, other = want.astype(np.float64), got.astype(np.float64)
        with np.errstate(invalid="ignore"):
            difference = np.abs(wide - other)
        # Infinity or NaN on one side only differs by more than any number: by the largest that JSON can hold.
        both = (np.isnan(wide) & np.isnan(other)) | (wide == other)
        difference = np.where(both, 0.0, np.where(np.isfinite(difference), difference, _HUGE))
        finite = np.abs(wide[np.isfinite(wide)])
        scale = max(float(finite.max()) if finite.size else 0.0, _TINY)
        largest = float(difference.max())
        self.max_abs = max(self.max_abs, largest)
        relative = min(largest / scale, _HUGE)
        self.max_rel = max(self.max_rel, relative)
        return relative

    @property
    def agreement(self) -> float | None:
        """Share of predicted classes that agree; None where no output is of shape [batch, classes]."""
        return self.agreeing / self.classified if self.classified else None

    @property
    def accuracy(self) -> float | None:
        """Share of labelled predictions that are right; None without any."""
        return self.right / self.labelled if self.labelled else None

    @property
    def accuracy_drop(self) -> float | None:
        """By how much that is below what was expected; None without labels."""
        return (self.expected_right - self.right) / self.labelled if self.labelled else None


def predicts_classes(output: Array, count: int) -> bool:
    """Whether an output of `count` samples is of shape [batch, classes], with two classes or more."""
    return output.ndim == 2 and output.shape[0] == count and output.shape[1] > 1


def bit_equal(want: Array, got: Array) -> bool:
    """Whether two arrays agree in type, shape and every bit; any NaN equals any other."""
    if want.dtype != got.dtype or want.shape != got.shape:
        return False
    if want.dtype.kind != "f":
        return np.array_equal(want, got)
    bits = f"u{want.dtype.itemsize}"
    same = np.ascontiguousarray(want).view(bits) == np.ascontiguousarray(got).view(bits)
    return bool(np.all(same | (np.isnan(want) & np.isnan(got))))
