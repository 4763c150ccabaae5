"""What a bottleneck is trained for: that the uncut model's answers, and the boundary tensor, stay as they were."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from splitnet.learn.bottleneck.observe import Observed
from splitnet.tensors import Array, Tensors

# Weight of the tensor's own error beside the answers': enough to hold what no answer shows on few samples.
_TENSOR_WEIGHT = 0.1
# Below this a probability counts as this: log(0) has no gradient.
_LEAST_PROBABILITY = 1e-7
_SUM_TOLERANCE = 1e-3
# A large tensor's variance is that of its first samples: all of them in float64 would double the memory.
_VARIANCE_SAMPLES = 128

_Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Samples as tensors, one row each. Compared by identity.

    Attributes:
        boundary: the boundary tensor, unharmed.
        outputs: the uncut model's, by name.
    """

    boundary: Tensor
    outputs: dict[str, Tensor]

    @classmethod
    def of(cls, observed: Observed) -> "Batch":
        """Return all samples of `observed`, without a copy."""
        outputs = {name: torch.from_numpy(array) for name, array in observed.outputs.items()}
        return cls(torch.from_numpy(observed.boundary), outputs)


class Objective:
    """The loss of a decoded boundary tensor: 0 where nothing is lost.

    Classes `[batch, classes]`, as logits or probabilities, count by the Kullback-Leibler divergence from the
    uncut model's (Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015, at
    temperature 1); other float outputs and the tensor itself by their squared error over their variance.
    """

    def __init__(self, name: str, observed: Observed, tail: nn.Module | None) -> None:
        """Build the loss.

        Args:
            name: of the boundary tensor.
            observed: what the uncut model made of samples.
            tail: from the boundary tensor to the outputs; None leaves the tensor itself as the only goal.
        """
        self._name = name
        self._tail = tail
        self._tensor_loss = squared_error(observed.boundary)
        answers = {} if tail is None else observed.outputs
        self._losses = {output: loss_of(answers[output]) for output in _goals(answers)}

    @property
    def has_answers(self) -> bool:
        """Whether any output has a gradient to learn from."""
        return bool(self._losses)

    def __call__(self, decoded: Tensor, batch: Batch) -> Tensor:
        """Return the mean loss of the batch, a scalar."""
        loss = self._tensor_loss(decoded, batch.boundary)
        if self._tail is None or not self._losses:
            return loss
        made = self._tail({self._name: decoded})
        answers = [found(made[output], batch.outputs[output]) for output, found in self._losses.items()]
        return torch.stack(answers).mean() + _TENSOR_WEIGHT * loss


def _goals(answers: Tensors) -> list[str]:
    """Return the outputs that count: floats, and beside classes no single numbers.

    Those are confidences: they follow from the classes, and vary so little that they would drown them.
    """
    floats = [name for name, array in answers.items() if array.dtype.kind == "f" and array.size]
    classes = [name for name in floats if _are_classes(answers[name])]
    single = {name for name in floats if answers[name][0].size == 1}
    return [name for name in floats if not classes or name not in single]


def loss_of(array: Array) -> _Loss:
    """Return the loss that suits an output with such values."""
    if not _are_classes(array):
        return squared_error(array)
    distributions = bool((array >= 0).all() and np.allclose(array.sum(axis=1), 1, atol=_SUM_TOLERANCE))
    return _divergence_of_probabilities if distributions else _divergence_of_logits


def _are_classes(array: Array) -> bool:
    return array.ndim == 2 and array.shape[1] > 1


def squared_error(array: Array) -> _Loss:
    """Return the mean squared error as a share of the variance of `array`."""
    # float64, since float16 would overflow; a constant output counts as it is.
    variance = float(np.var(array[:_VARIANCE_SAMPLES], dtype=np.float64)) or 1.0
    return lambda made, wanted: functional.mse_loss(made.float(), wanted.float()) / variance


def _divergence_of_logits(made: Tensor, wanted: Tensor) -> Tensor:
    return _divergence(torch.log_softmax(made, -1), torch.log_softmax(wanted, -1))


def _divergence_of_probabilities(made: Tensor, wanted: Tensor) -> Tensor:
    return _divergence(*(each.clamp(min=_LEAST_PROBABILITY).log() for each in (made, wanted)))


def _divergence(made: Tensor, wanted: Tensor) -> Tensor:
    return functional.kl_div(made, wanted, reduction="batchmean", log_target=True)
