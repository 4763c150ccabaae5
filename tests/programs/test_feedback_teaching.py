"""Which output teaches, and how its scores become probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.errors import ConfigError
from splitnet.package import Manifest, TensorEntry
from splitnet_device.teaching import ClassOutput
from tests.package.strategies import example

SCORES = st.lists(st.floats(-1e4, 1e4, width=32), min_size=2, max_size=9)


def with_outputs(*outputs: TensorEntry) -> Manifest:
    """The example's manifest, where nothing learns, with other outputs of its model."""
    manifest = example().manifest
    model = manifest.model.model_copy(update={"outputs": outputs})
    return manifest.model_copy(update={"model": model, "training": (), "exits": ()})


def test_the_output_that_the_trainable_exit_stands_for() -> None:
    assert ClassOutput.of(example().manifest) == ClassOutput("y", 5, "logits")


def test_else_the_first_of_classes() -> None:
    manifest = with_outputs(
        TensorEntry(name="box", dtype="float32", shape=("batch", 4, 2)),
        TensorEntry(name="fixed", dtype="float32", shape=(7, 3)),
        TensorEntry(name="kind", dtype="float32", shape=("batch", 3)),
    )
    assert ClassOutput.of(manifest) == ClassOutput("kind", 3, None)


def test_a_model_that_is_no_classifier() -> None:
    manifest = with_outputs(TensorEntry(name="box", dtype="float32", shape=("batch", 4, 2)))
    with pytest.raises(ConfigError, match=r"store: model '.*' has no output \[batch, classes\] to learn from"):
        ClassOutput.of(manifest)


@given(scores=SCORES)
def test_logits_go_through_a_softmax(scores: list[float]) -> None:
    row = np.array(scores, np.float32)
    found = ClassOutput("y", len(row), "logits").probabilities(row)
    exact = np.exp(row.astype(np.float64) - row.max())
    assert found is not None
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact / exact.sum(), rtol=1e-6, atol=1e-12)


@given(scores=SCORES)
def test_probabilities_stay_what_they_are(scores: list[float]) -> None:
    row = np.abs(np.array(scores)) + 0.1
    row /= row.sum()
    for kind in ("probabilities", None):
        found = ClassOutput("y", len(row), kind).probabilities(row.astype(np.float16))
        assert found is not None
        np.testing.assert_allclose(found, row, atol=2e-3)
        assert found.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("scores", [[-0.5, 1.5], [0.4, 0.4], [3.0, 0.0]])
def test_what_is_no_distribution_is_taken_for_logits(scores: list[float]) -> None:
    row = np.array(scores, np.float32)
    found = ClassOutput("y", 2, None).probabilities(row)
    expected = ClassOutput("y", 2, "logits").probabilities(row)
    assert found is not None
    assert expected is not None
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("kind", ["logits", "probabilities", None])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_teaches_nothing(kind: str, bad: float) -> None:
    output = ClassOutput("y", 3, "logits" if kind == "logits" else "probabilities" if kind else None)
    assert output.probabilities(np.array([0.5, bad, 0.5], np.float32)) is None


@pytest.mark.parametrize("scores", [[-0.5, 1.5], [0.0, 0.0]])
def test_what_cannot_be_probabilities_teaches_nothing(scores: list[float]) -> None:
    assert ClassOutput("y", 2, "probabilities").probabilities(np.array(scores, np.float32)) is None
