"""The rule: exact tests on the samples that differ, a bound on the drop that holds, ties and few samples."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.errors import InvalidArgumentError
from splitnet.release.figures import Outcomes
from splitnet.release.paired import Flags, Paired, drop_bound, paired
from splitnet.release.rule import Judgement, Rule, judge

COUNTS = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 500)).filter(lambda c: sum(c) > 0)


def flags(gained: int, lost: int, same: int) -> tuple[Flags, Flags]:
    """What two versions do on so many samples."""
    running = np.array([False] * gained + [True] * (lost + same))
    candidate = np.array([True] * gained + [False] * lost + [True] * same)
    return running, candidate


def at_least(count: int, n: int) -> float:
    return sum(math.comb(n, k) for k in range(count, n + 1)) / math.ldexp(1.0, n)


@given(counts=COUNTS)
def test_p_values_are_the_exact_binomials(counts: tuple[int, int, int]) -> None:
    gained, lost, _ = counts
    found = paired(*flags(*counts))
    assert (found.gained, found.lost) == (gained, lost)
    assert found.p_better == pytest.approx(at_least(gained, gained + lost))
    assert found.p_worse == pytest.approx(at_least(lost, gained + lost))


@given(counts=COUNTS, alpha=st.floats(0.001, 0.5))
def test_the_bound_is_no_less_than_what_was_seen(counts: tuple[int, int, int], alpha: float) -> None:
    gained, lost, same = counts
    n = gained + lost + same
    found = paired(*flags(*counts))
    bound = drop_bound(found, n, alpha=alpha)
    assert (lost - gained) / n <= bound <= 1
    assert bound >= drop_bound(found, n, alpha=min(0.5, 1.5 * alpha))
    assert bound <= drop_bound(Paired(gained, lost + 1, 1, 1), n + 1, alpha=alpha) + 1e-12


@pytest.mark.parametrize(("lose", "gain"), [(0.02, 0.0), (0.03, 0.01), (0.2, 0.15), (0.004, 0.0)])
def test_the_bound_holds_as_often_as_it_says(lose: float, gain: float) -> None:
    rng = np.random.default_rng(5)
    n, draws, alpha = 800, 2000, 0.1
    lost, gained, _ = rng.multinomial(n, [lose, gain, 1 - lose - gain], draws).T
    pairs = [Paired(int(more), int(less), 1, 1) for more, less in zip(gained, lost, strict=True)]
    bounds = [drop_bound(pair, n, alpha=alpha) for pair in pairs]
    assert np.mean(np.array(bounds) < lose - gain) <= alpha


def test_with_no_difference_at_all_the_bound_falls_with_n() -> None:
    for n, tolerated in [(366, False), (368, True)]:  # 1 - 0.025 ** (1 / n) crosses 0.01
        assert (drop_bound(Paired(0, 0, 1, 1), n, alpha=0.05) <= 0.01) == tolerated


N = 1000


def outcomes(right: int, *, device: int | None = 600, forwarded: int = 500) -> Outcomes:
    """So many right answers, at all and at the device's exit, and so many samples sent up; the first ones each."""
    at = np.arange(N)
    return Outcomes(
        at < right, at < device if device is not None else None, at >= N - forwarded, 100 * (at >= N - forwarded)
    )


def judged(running: Outcomes, candidate: Outcomes, **rule: float) -> Judgement:
    return judge(running, candidate, (1, 2), "labels", Rule(**rule))


def test_the_same_again_is_not_better() -> None:
    found = judged(outcomes(900), outcomes(900))
    assert not found.released
    assert found.reason.startswith("no worse")
    assert found.accuracy.p_better == 1.0
    assert found.drop_bound == pytest.approx(1 - 0.025 ** (1 / N))


@pytest.mark.parametrize(
    ("candidate", "why"),
    [
        (outcomes(900, forwarded=494), "fewer samples go up"),
        (outcomes(906), "more answers are right"),
        (outcomes(900, device=606), "the device's exit is right more often"),
    ],
)
def test_each_way_of_being_better_is_enough(candidate: Outcomes, why: str) -> None:
    found = judged(outcomes(900), candidate)
    assert (found.released, found.reason.startswith(why)) == (True, True), found.reason


@pytest.mark.parametrize(
    "candidate",
    [
        outcomes(900, forwarded=495),  # 5 of 5 have a chance of 1/32
        outcomes(905),
        outcomes(900, device=605),
        outcomes(900, device=700, forwarded=560),  # bought by sending more
        outcomes(900, device=None),
    ],
)
def test_what_may_be_luck_or_has_its_price_is_refused(candidate: Outcomes) -> None:
    assert not judged(outcomes(900), candidate).released


def test_a_drop_beyond_the_tolerance_outweighs_every_gain() -> None:
    candidate = outcomes(888, forwarded=100)
    assert not judged(outcomes(900), candidate).released
    assert judged(outcomes(900), candidate, tolerance=0.03).released


def test_without_an_exit_on_the_device_the_rest_decides() -> None:
    found = judged(outcomes(900, device=None), outcomes(900, device=None, forwarded=300))
    assert (found.released, found.device_accuracy, found.running.device_accuracy) == (True, None, None)


def test_figures_are_shares_of_all_samples() -> None:
    found = judged(outcomes(900), outcomes(950, device=700, forwarded=100))
    assert found.to_json()["candidate"] == {
        "version": 2,
        "device_accuracy": 0.7,
        "accuracy": 0.95,
        "forwarded_share": 0.1,
        "bytes_per_sample": 10.0,
    }
    assert found.to_json()["rule"] == {"name": "no-worse-and-better", "tolerance": 0.01, "alpha": 0.05}


@pytest.mark.parametrize("wrong", [{"tolerance": -0.1}, {"tolerance": 1.0}, {"alpha": 0.0}, {"alpha": 1.0}])
def test_a_rule_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError, match="expected"):
        Rule(**wrong)
