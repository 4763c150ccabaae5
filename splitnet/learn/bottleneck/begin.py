"""The weights that a training begins with: principal components, weighed by what the answers depend on."""

import numpy as np
import torch
from numpy.typing import NDArray

from splitnet.learn.bottleneck.code import TrainableCode
from splitnet.learn.bottleneck.form import Form
from splitnet.learn.bottleneck.objective import Batch, Objective
from splitnet.learn.bottleneck.observe import Observed
from splitnet.learn.bottleneck.principal import metric_of, principal_bottleneck

# What the code's range and the gradients are taken from.
_RANGE_SAMPLES = 512
_GRADIENT_SAMPLES = 256
_BATCH = 16
# The metric of a larger patch takes longer to decompose than it saves of the training.
_MOST_WEIGHED = 2048


def first_code(form: Form, objective: Objective, fitting: Observed, *, seed: int) -> TrainableCode:
    """Return a code that keeps principal components of the boundary tensor.

    Plain components may leave out a quiet feature that decides every answer, and training is slow to find it
    again. So the loss is differentiated where the plain ones arrive, and the components are taken once more in
    the metric of those gradients; on the example this halved the first loss.

    Args:
        form: of the bottleneck.
        objective: what the training will make small.
        fitting: samples to learn from.
        seed: of all that is random.
    """
    code = TrainableCode(principal_bottleneck(form, fitting.boundary, seed=seed))
    _set_range(code, fitting)
    if not objective.has_answers or form.patch > _MOST_WEIGHED:
        return code
    metric = metric_of(form, _gradients(code, objective, fitting), seed=seed)
    weighed = TrainableCode(principal_bottleneck(form, fitting.boundary, metric=metric, seed=seed))
    _set_range(weighed, fitting)
    return weighed


def _set_range(code: TrainableCode, fitting: Observed) -> None:
    code.set_range(torch.from_numpy(fitting.boundary[:_RANGE_SAMPLES]))


def _gradients(code: TrainableCode, objective: Objective, fitting: Observed) -> NDArray[np.float32]:
    """Return the gradient of the loss by the decoded tensor, for a few samples."""
    code.eval()
    parts = []
    for start in range(0, min(_GRADIENT_SAMPLES, fitting.count), _BATCH):
        batch = Batch.of(fitting.take(slice(start, start + _BATCH)))
        decoded = code(batch.boundary).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(objective(decoded, batch), decoded)
        parts.append(gradient.numpy())
    return np.concatenate(parts)
