"""Training heads with nothing but onnxruntime and numpy: they learn, keep their best weights, and repeat."""

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from splitnet.learn.heads import Answers, Fitting, HeadForm, Layers, Place, train_heads
from splitnet.learn.heads.fit import Rows, fit
from splitnet.tensors import Array, TensorSpec

FEATURES, CLASSES = 8, 3
RNG = np.random.default_rng(0)
# A ring within a ring: no linear layer tells them apart.
X = RNG.standard_normal((900, FEATURES)).astype(np.float32)
RADIUS = np.linalg.norm(X[:, :2], axis=1)
CLASS = np.digitize(RADIUS, [0.7, 1.4])
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[CLASS]
ROWS, JUDGING, TEST = (Rows(X[part], ONE_HOT[part]) for part in (slice(600), slice(600, 750), slice(750, 900)))


def place(name: str, share: float) -> Place:
    return Place(HeadForm(TensorSpec(name, "float32", ("batch", FEATURES))), "node", share, alone=True)


def right(layers: Layers, rows: Rows) -> float:
    return float((layers(rows.features).argmax(axis=1) == rows.targets.argmax(axis=1)).mean())


@pytest.fixture(scope="module")
def fitted() -> Layers:
    return fit(Layers.seeded(FEATURES, CLASSES, seed=0), ROWS, JUDGING, fitting=Fitting())


def test_layers_learn_what_no_linear_layer_can(fitted: Layers) -> None:
    assert right(fitted, TEST) > 0.75
    assert right(Layers.seeded(FEATURES, CLASSES, seed=0), TEST) < 0.6


def test_the_same_seed_gives_the_same_weights() -> None:
    start = Layers.seeded(FEATURES, CLASSES, seed=0)
    few, judging = Rows(X[:64], ONE_HOT[:64]), Rows(X[64:96], ONE_HOT[64:96])
    one, again, other = (fit(start, few, judging, fitting=Fitting(seed=seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(array, again.tensors[name]) for name, array in one.tensors.items())
    assert not np.array_equal(one.hidden_weight, other.hidden_weight)
    # What they started from is as it was.
    assert np.array_equal(start.hidden_weight, Layers.seeded(FEATURES, CLASSES, seed=0).hidden_weight)


def test_of_all_weights_those_are_kept_that_judge_best() -> None:
    """Nothing can be learned of targets by chance: the more is learned by heart, the worse it predicts."""
    chance = np.eye(CLASSES, dtype=np.float32)[np.random.default_rng(1).integers(0, CLASSES, 300)]
    rows, judging = Rows(X[:200], chance[:200]), Rows(X[200:300], chance[200:])
    layers = fit(Layers.seeded(FEATURES, CLASSES, seed=0), rows, judging, fitting=Fitting())
    logits = layers(X[200:300])
    likely = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    # Learned by heart it would be sure and wrong, which costs more than two nats.
    assert -np.log(likely[chance[200:] == 1]).mean() < 1.3


def test_training_ends_when_its_time_is_over(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        layers = fit(Layers.seeded(FEATURES, CLASSES, seed=0), ROWS, JUDGING, fitting=Fitting(seconds=0.0))
    assert "ended at step 1 of" in caplog.text
    assert np.isfinite(layers.hidden_weight).all()


def test_heads_are_tried_on_samples_that_did_not_train_them() -> None:
    likely = 0.9 * ONE_HOT + 0.1 / CLASSES
    blind = RNG.standard_normal(X.shape).astype(np.float32)
    progress: list[float] = []
    seeing, guessing = train_heads(
        [place("seeing", 0.3), place("guessing", 0.6)],
        {"seeing": 40 * X + 7, "guessing": blind},
        Answers(likely.astype(np.float32), None),
        fitting=Fitting(),
        on_progress=progress.append,
    )
    assert [one.place.tensor for one in (seeing, guessing)] == ["seeing", "guessing"]
    assert (seeing.trial.share, len(seeing.trial.costly)) == (0.3, len(X))
    # The blind one can have learned what it saw by heart, but is right by chance where it is tried.
    assert seeing.trial.costly.mean() < 0.2
    assert guessing.trial.costly.mean() > 0.4
    assert ((seeing.trial.confidence > 1 / CLASSES) & (seeing.trial.confidence <= 1)).all()
    assert progress == sorted(progress)
    assert progress[-1] == 1.0


def answers(**changes: Any) -> Answers:
    likely = np.array([[0.6, 0.4], [0.2, 0.8], [0.7, 0.3], [0.1, 0.9]], np.float32)
    return replace(Answers(likely, None), **changes)


def test_targets_lie_halfway_to_the_truth() -> None:
    labels: Array = np.array([0, 0, 1, 1])
    np.testing.assert_array_equal(answers().targets, answers().likely)
    np.testing.assert_allclose(
        answers(labels=labels).targets, [[0.8, 0.2], [0.6, 0.4], [0.35, 0.65], [0.05, 0.95]], atol=1e-6
    )


def test_an_error_costs_only_where_the_model_is_right() -> None:
    scores = np.array([[0, 1], [0, 1], [0, 1], [1, 0]], np.float32)
    assert answers().costly(scores).tolist() == [True, False, True, True]
    assert answers(labels=np.array([0, 0, 1, 0])).costly(scores).tolist() == [True, False, False, False]
