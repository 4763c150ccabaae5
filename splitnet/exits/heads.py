"""Holding an exit's answers against the last ones: which are right, and the threshold that follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import ModelError
from splitnet.exits.calibrate import ExitThreshold, choose_threshold
from splitnet.tensors import Array, Tensors


class Head(Protocol):
    """An exit as a model's metadata or a package's manifest describes it."""

    @property
    def outputs(self) -> Mapping[str, str]:
        """For each of the model's outputs, the tensor that stands for it."""

    @property
    def confidence(self) -> str:
        """The tensor that is held against the threshold."""


def class_output(head: Head, values: Tensors) -> str:
    """Return the output whose largest entry is the predicted class: the first of shape [batch, classes].

    Raises:
        ModelError: there is none.
    """
    answer = next((name for name in head.outputs if values[name].ndim == 2), None)
    if answer is None:
        raise ModelError(
            f"exit {head.confidence!r}: none of {sorted(head.outputs)} is of shape [batch, classes]; "
            "only classifiers can be calibrated"
        )
    return answer


def right(
    head: Head, values: Tensors, labels: NDArray[np.integer] | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for each sample whether the exit is right, and whether the last exit is.

    Args:
        head: the exit.
        values: the model's outputs and the exit's, by name, for all samples.
        labels: `[n]`; None counts the last exit's answer as right.

    Raises:
        ModelError: no output is of shape [batch, classes].
    """
    answer = class_output(head, values)
    final, early = (values[name].argmax(axis=1) for name in (answer, head.outputs[answer]))
    truth = final if labels is None else labels
    return early == truth, final == truth


def confidence_of(head: Head, values: Tensors) -> NDArray[np.float32]:
    """Return how sure the exit is of each sample, float32 `[n]`."""
    confidence: Array = values[head.confidence].reshape(-1).astype(np.float32)
    return confidence


def calibrate(
    head: Head, values: Tensors, labels: NDArray[np.integer] | None, *, epsilon: float, delta: float
) -> ExitThreshold | None:
    """Choose an exit's threshold on what it and the last exit answered.

    Args:
        head: the exit.
        values: as for `right`.
        labels: as for `right`.
        epsilon: the risk allowed, in (0, 1).
        delta: the probability with which it may be exceeded all the same, in (0, 1).

    Returns:
        The threshold, or None where none keeps the risk.

    Raises:
        ModelError: no output is of shape [batch, classes].
    """
    early_right, final_right = right(head, values, labels)
    return choose_threshold(confidence_of(head, values), early_right, final_right, epsilon=epsilon, delta=delta)
