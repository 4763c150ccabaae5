"""Thresholds of early exits: the bound, the search, and the promise over repeated splits."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from splitnet.errors import InvalidArgumentError
from splitnet.exits.calibrate import (
    METHOD,
    THRESHOLD_GRID,
    ExitThreshold,
    choose_threshold,
    upper_bound,
)

Samples = tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]


def draw_samples(generator: np.random.Generator, n: int) -> Samples:
    """An exit that errs the more, the less sure it is; a last exit that is right 97 times of 100."""
    doubt = generator.beta(0.3, 3.0, n)
    correct = generator.random(n) >= 0.6 * doubt
    return (1.0 - doubt).astype(np.float32), correct, generator.random(n) < 0.97


def risk(samples: Samples, threshold: float) -> float:
    confidence, correct, final_correct = samples
    return float(np.mean(final_correct & ~correct & (confidence >= threshold)))


@st.composite
def sample_sets(draw: st.DrawFn) -> Samples:
    n = draw(st.integers(1, 400))
    return draw_samples(np.random.default_rng(draw(st.integers(0, 2**32 - 1))), n)


probabilities = st.floats(1e-4, 0.5)


@given(n=st.integers(1, 100_000), delta=st.floats(1e-6, 0.999))
def test_bound_without_errors_is_the_closed_form(n: int, delta: float) -> None:
    # No error among n at risk r has probability (1 - r)^n; the bound is the r where that is delta.
    assert upper_bound(0, n, delta=delta) == pytest.approx(-np.expm1(np.log(delta) / n), rel=1e-9)


def test_bound_with_errors_inverts_the_binomial_tail() -> None:
    for errors, n in ((1, 20), (7, 300), (40, 41)):
        assert binom.cdf(errors, n, upper_bound(errors, n, delta=0.05)) == pytest.approx(0.05)


@given(n=st.integers(2, 5000), data=st.data(), delta=probabilities)
def test_bound_is_monotone_and_above_the_estimate(n: int, data: st.DataObject, delta: float) -> None:
    errors = data.draw(st.integers(0, n - 1))
    bound = upper_bound(errors, n, delta=delta)
    assert errors / n < bound < upper_bound(errors + 1, n, delta=delta) <= 1.0
    assert bound <= upper_bound(errors, n, delta=delta / 2)
    assert bound > upper_bound(errors, n + 1, delta=delta)


def test_grid_runs_from_strict_to_all_in_float32_steps() -> None:
    assert all(a > b for a, b in itertools.pairwise(THRESHOLD_GRID))
    assert THRESHOLD_GRID[0] < 1.0
    assert THRESHOLD_GRID[-1] == 0.0
    assert all(float(np.float32(value)) == value for value in THRESHOLD_GRID)


@given(samples=sample_sets(), epsilon=probabilities, delta=probabilities)
def test_choice_is_the_last_of_the_grid_before_the_first_failure(
    samples: Samples, epsilon: float, delta: float
) -> None:
    n = len(samples[0])
    passing = []
    for threshold in THRESHOLD_GRID:
        bound = upper_bound(round(risk(samples, threshold) * n), n, delta=delta)
        if bound > epsilon:
            break
        share = float(np.mean(samples[0] >= threshold))
        passing.append(ExitThreshold(threshold, epsilon, delta, n, bound, share, METHOD))
    chosen = choose_threshold(*samples, epsilon=epsilon, delta=delta)
    assert chosen == (passing[-1] if passing else None)


@given(samples=sample_sets(), epsilon=probabilities, delta=probabilities)
def test_a_looser_promise_never_lets_fewer_leave(samples: Samples, epsilon: float, delta: float) -> None:
    tight = choose_threshold(*samples, epsilon=epsilon, delta=delta)
    for looser in (
        choose_threshold(*samples, epsilon=min(2 * epsilon, 0.9), delta=delta),
        choose_threshold(*samples, epsilon=epsilon, delta=min(1.5 * delta, 0.9)),
    ):
        if tight is not None:
            assert looser is not None
            assert looser.threshold <= tight.threshold
            assert looser.share >= tight.share


@given(samples=sample_sets(), seed=st.integers(0, 2**32 - 1))
def test_order_of_samples_does_not_matter(samples: Samples, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(samples[0]))
    shuffled = (samples[0][order], samples[1][order], samples[2][order])
    assert choose_threshold(*samples, epsilon=0.1) == choose_threshold(*shuffled, epsilon=0.1)


@given(step=st.integers(0, len(THRESHOLD_GRID) - 1))
def test_a_confidence_that_equals_the_threshold_leaves(step: int) -> None:
    # Sure ones that may leave, doubtful ones that must not: the choice lands on the sure ones' own value.
    sure, n = THRESHOLD_GRID[step], 1000
    confidence = np.full(n, sure, np.float32)
    confidence[500:] = np.nextafter(np.float32(sure), np.float32(-1))
    correct = np.arange(n) < 500
    chosen = choose_threshold(confidence, correct, np.ones(n, np.bool_), epsilon=0.01)
    assert chosen is not None
    assert (chosen.threshold, chosen.share) == (sure, 0.5)


def test_nan_never_leaves_and_never_costs() -> None:
    confidence = np.full(1000, 0.9, np.float32)
    correct = np.ones(1000, np.bool_)
    confidence[:300] = np.nan
    correct[:300] = False
    chosen = choose_threshold(confidence, correct, np.ones(1000, np.bool_), epsilon=0.01)
    assert chosen is not None
    assert (chosen.threshold, chosen.share) == (0.0, 0.7)


def test_errors_that_the_last_exit_shares_cost_nothing() -> None:
    wrong = np.zeros(1000, np.bool_)
    chosen = choose_threshold(np.ones(1000, np.float32), wrong, wrong, epsilon=0.01)
    assert chosen is not None
    assert chosen.share == 1.0


def test_none_when_too_few_samples_or_sure_and_wrong() -> None:
    right = np.ones(1000, np.bool_)
    assert choose_threshold(np.ones(9, np.float32), right[:9], right[:9], epsilon=0.01) is None
    assert choose_threshold(np.ones(1000, np.float32), ~right, right, epsilon=0.01) is None


@pytest.mark.parametrize("delta", [0.05, 0.2])
def test_promise_holds_over_repeated_splits(delta: float) -> None:
    # One population, calibrated on 600 of it again and again: its own risk must exceed epsilon in no
    # more than delta of the draws. The plug-in rule (observed risk <= epsilon) is the control that fails.
    generator = np.random.default_rng(20211003)
    population = draw_samples(generator, 60_000)
    epsilon, draws = 0.012, 1000
    broken = answered = plug_in_broken = 0
    for _ in range(draws):
        picked = generator.integers(0, 60_000, 600)
        split = (population[0][picked], population[1][picked], population[2][picked])
        chosen = choose_threshold(*split, epsilon=epsilon, delta=delta)
        if chosen is not None:
            answered += chosen.share > 0.3
            broken += risk(population, chosen.threshold) > epsilon
        naive = [value for value in THRESHOLD_GRID if risk(split, value) <= epsilon]
        plug_in_broken += risk(population, naive[-1]) > epsilon
    # Three standard deviations of the count at a violation rate of exactly delta.
    assert broken <= draws * delta + 3 * np.sqrt(draws * delta * (1 - delta))
    assert answered > draws / 2
    assert plug_in_broken > draws * delta * 1.5


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.5, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["epsilon", "delta"])
def test_probabilities_outside_the_open_interval_are_refused(name: str, value: float) -> None:
    arrays = draw_samples(np.random.default_rng(0), 10)
    levels = {"epsilon": 0.1, "delta": 0.05, name: value}
    with pytest.raises(InvalidArgumentError, match=name):
        choose_threshold(*arrays, epsilon=levels["epsilon"], delta=levels["delta"])


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("damage", ["shorter", "integers", "two axes"])
def test_wrong_arrays_are_refused(position: int, damage: str) -> None:
    arrays: list[NDArray[Any]] = list(draw_samples(np.random.default_rng(0), 10))
    whole = arrays[position]
    damaged = {"shorter": whole[:9], "integers": whole.astype(np.int64), "two axes": whole[:, None]}
    arrays[position] = damaged[damage]
    with pytest.raises(InvalidArgumentError, match="expected"):
        choose_threshold(arrays[0], arrays[1], arrays[2], epsilon=0.1)


def test_no_samples_are_refused() -> None:
    none = np.zeros(0, np.bool_)
    with pytest.raises(InvalidArgumentError, match="at least one"):
        choose_threshold(np.zeros(0, np.float32), none, none, epsilon=0.1)


@pytest.mark.parametrize(("errors", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_counts_out_of_range_are_refused(errors: int, n: int) -> None:
    with pytest.raises(InvalidArgumentError, match="errors"):
        upper_bound(errors, n, delta=0.05)
