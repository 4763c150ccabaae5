"""The objective: which outputs count, and how."""

import numpy as np
import pytest
import torch

from splitnet.learn.bottleneck.objective import Batch, Objective, loss_of
from splitnet.learn.bottleneck.observe import Observed
from splitnet.tensors import Array


class Double(torch.nn.Module):
    """A tail: logits are twice the tensor, the confidence its largest value."""

    def forward(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        logits = 2 * tensors["t"]
        return {"logits": logits, "sure": logits.amax(1)}


def _observed(**outputs: Array) -> Observed:
    boundary = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    return Observed(boundary, {"logits": 2 * boundary, "sure": 2 * boundary.max(axis=1)} | outputs)


def _loss(objective: Objective, observed: Observed, moved: float) -> float:
    batch = Batch.of(observed)
    return float(objective(batch.boundary + moved * torch.eye(6, 4), batch))


def test_nothing_lost_is_zero() -> None:
    observed = _observed()
    for tail in (None, Double()):
        objective = Objective("t", observed, tail)
        assert _loss(objective, observed, 0.0) == pytest.approx(0, abs=1e-6)
        assert 0 < _loss(objective, observed, 0.1) < _loss(objective, observed, 1.0)


def test_beside_classes_a_single_number_does_not_count() -> None:
    """With another confidence on record the loss is the same: only the logits say what is right."""
    observed, other = _observed(), _observed(sure=np.zeros(6, np.float32))
    assert _loss(Objective("t", other, Double()), other, 0.3) == _loss(
        Objective("t", observed, Double()), observed, 0.3
    )


def test_a_single_number_alone_counts() -> None:
    observed = Observed(_observed().boundary, {"sure": _observed().outputs["sure"]})
    wrong = Observed(observed.boundary, {"sure": observed.outputs["sure"] + 1})
    objective = Objective("t", observed, Double())
    assert objective.has_answers
    assert _loss(objective, wrong, 0.0) > _loss(objective, observed, 0.0)


def test_integers_have_no_gradient() -> None:
    observed = _observed()
    labels = Observed(observed.boundary, {"label": np.zeros(6, np.int64)})
    assert not Objective("t", labels, Double()).has_answers


def test_logits_and_their_probabilities_count_alike() -> None:
    logits = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    moved = logits + np.array([1, 0, 0], np.float32)
    probabilities = [torch.softmax(torch.from_numpy(each), -1) for each in (moved, logits)]
    by_logits = loss_of(logits)(torch.from_numpy(moved), torch.from_numpy(logits))
    assert float(by_logits) > 0
    assert float(loss_of(probabilities[1].numpy())(*probabilities)) == pytest.approx(float(by_logits), rel=1e-4)


def test_other_outputs_count_as_a_share_of_their_variance() -> None:
    array = np.random.default_rng(2).standard_normal((500, 2, 2)).astype(np.float16) * 100
    made = torch.from_numpy(np.zeros_like(array))
    assert float(loss_of(array)(made, torch.from_numpy(array))) == pytest.approx(1, rel=0.05)
