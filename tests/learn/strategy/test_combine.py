"""Cohorts' sums become one update; what a bad cohort or device can do to it, and what it cannot."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from splitnet.errors import InvalidArgumentError
from splitnet.learn.strategy import CohortSum, combine, least_cohorts, mean_metrics
from splitnet.learn.strategy.combine import Combine

SIZE = 200
CLIP = 1.0


def cohort(mean: float | NDArray[np.float64], weight: float = 1.0, name: str = "a", **metrics: float) -> CohortSum:
    total = weight * np.broadcast_to(np.asarray(mean, np.float64), (SIZE,))
    return CohortSum(name, total, weight, 3, {key: weight * value for key, value in metrics.items()})


def clipped(update: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return what the clip leaves of an update."""
    return (update / max(1.0, float(np.linalg.norm(update)) / CLIP)).astype(np.float32)


def fleet(seed: int, devices: int) -> list[NDArray[np.float32]]:
    """Return honest updates: one direction that all share, and each device's own noise, clipped."""
    random = np.random.default_rng(seed)
    shared = np.linspace(-1, 1, SIZE) / np.sqrt(SIZE)
    drawn = (shared + 0.02 * random.standard_normal(SIZE) for _ in range(devices))
    return [clipped(each) for each in drawn]


def summed(updates: list[NDArray[np.float32]], name: str) -> CohortSum:
    return CohortSum(name, np.sum(updates, axis=0, dtype=np.float64), len(updates), len(updates))


def fleets(bad: NDArray[np.float32] | None = None) -> list[CohortSum]:
    """Return the sums of five cohorts of four devices; the last cohort's are all `bad`, where it is given."""
    honest = [summed(fleet(seed, 4), f"site-{seed}") for seed in range(5)]
    return honest if bad is None else [*honest[:4], summed([bad] * 4, "site-bad")]


def test_the_mean_is_that_of_all_devices() -> None:
    updates = [fleet(seed, 2 + seed) for seed in range(3)]
    sums = [summed(each, str(number)) for number, each in enumerate(updates)]
    every = np.concatenate(updates).astype(np.float64)
    assert np.allclose(combine(sums, "mean"), every.mean(axis=0), rtol=0, atol=1e-12)


def test_the_mean_weighs_and_the_median_does_not() -> None:
    sums = [cohort(1.0, weight=98), cohort(2.0), cohort(10.0)]
    assert combine(sums, "mean")[0] == pytest.approx(1.1)
    assert combine(sums, "median")[0] == 2
    assert combine([*sums, cohort(4.0)], "median")[0] == 3


def test_trimming_leaves_out_the_ends_of_each_coordinate() -> None:
    values = np.array([[0.0, 9.0], [1.0, 8.0], [2.0, 7.0], [3.0, 6.0], [100.0, -100.0]])
    sums = [CohortSum(str(number), row, 1, 2) for number, row in enumerate(values)]
    assert combine(sums, "trimmed", trimmed=0.2).tolist() == [2.0, 7.0]
    assert combine(sums, "trimmed", trimmed=0.4).tolist() == [2.0, 7.0]


@given(
    means=st.lists(st.floats(-10, 10), min_size=3, max_size=9),
    liars=st.data(),
    how=st.sampled_from(["median", "trimmed"]),
)
def test_bad_cohorts_cannot_leave_the_range_of_the_good(
    means: list[float], liars: st.DataObject, how: Combine
) -> None:
    """As many as the docstring says, with whatever values: the result stays between what honest cohorts sent."""
    most = (len(means) - 1) // 2 if how == "median" else int(0.34 * len(means) + 1e-9)
    lies = liars.draw(st.lists(st.floats(-1e9, 1e9), min_size=most, max_size=most))
    honest = means[: len(means) - most]
    result = combine([cohort(value) for value in (*honest, *lies)], how, trimmed=0.34)
    assert min(honest) - 1e-9 <= result[0] <= max(honest) + 1e-9


@pytest.mark.parametrize("how", ["median", "trimmed"])
def test_a_bad_cohort_moves_the_mean_and_not_the_median(how: Combine) -> None:
    """All devices of one site send the opposite, as long as the clip lets them."""
    honest = combine(fleets(), "mean")
    bad = clipped(-50 * honest)
    moved = {each: np.linalg.norm(combine(fleets(bad), each) - honest) for each in ("mean", how)}
    assert moved["mean"] > 0.3 * CLIP
    assert moved[how] < 0.25 * moved["mean"]


def test_a_bad_device_is_bounded_by_the_clip_alone() -> None:
    """Within a cohort nobody sees it: it moves the cohort's mean by up to 2 clips over its devices, and does."""
    honest = fleet(0, 4)
    liar = clipped(-1e6 * honest[0])
    moved = np.linalg.norm(summed([*honest[:3], liar], "a").mean - summed(honest, "a").mean)
    assert 0.35 * CLIP < moved <= 2 * CLIP / 4 + 1e-6


@pytest.mark.parametrize(
    ("how", "trimmed", "needed"), [("mean", 0.0, 1), ("median", 0.0, 3), ("trimmed", 0.2, 5), ("trimmed", 0.4, 3)]
)
def test_too_few_cohorts_are_refused(how: Combine, trimmed: float, needed: int) -> None:
    assert least_cohorts(how, trimmed) == needed
    combine([cohort(1.0)] * needed, how, trimmed=trimmed)
    with pytest.raises(InvalidArgumentError, match=f"{how} needs the sums of {needed} cohorts or more"):
        combine([cohort(1.0)] * (needed - 1), how, trimmed=trimmed)


def test_trimming_nothing_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="leaves nothing out"):
        combine([cohort(1.0)] * 9, "trimmed", trimmed=0.0)


def test_sums_of_two_models_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="differ in length"):
        combine([cohort(1.0), CohortSum("b", np.zeros(3), 1, 2)], "mean")


@pytest.mark.parametrize(
    ("total", "weight", "devices"),
    [
        (np.array([0.0, np.nan]), 1.0, 2),
        (np.array([np.inf]), 1.0, 2),
        (np.zeros((2, 2)), 1.0, 2),
        (np.zeros(2), 0.0, 2),
        (np.zeros(2), float("nan"), 2),
        (np.zeros(2), 1.0, 0),
    ],
)
def test_a_sum_of_nothing_is_refused(total: NDArray[np.float64], weight: float, devices: int) -> None:
    with pytest.raises(InvalidArgumentError, match="cohort north"):
        CohortSum("north", total, weight, devices)


def test_metrics_are_means_over_devices() -> None:
    sums = [cohort(0.0, weight=3, loss=2.0, accuracy=0.5), cohort(0.0, weight=1, loss=6.0)]
    assert mean_metrics(sums) == {"loss": 3.0}
    assert mean_metrics([]) == {}
