"""Which heads are attached, and how many samples vouch for a threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.exits.calibrate import upper_bound
from splitnet.learn.heads import MOST_HEADS, Trial, choose, most_heads, samples_needed


def trial(share: float, confidence: list[float], costly: list[bool]) -> Trial:
    return Trial(share, np.array(confidence, np.float32), np.array(costly))


def sure_of(part: float, share: float, count: int = 1000, seed: int = 0) -> Trial:
    """A head that is never wrong on `part` of the samples, and always on the rest, of which it is less sure."""
    right = np.random.default_rng(seed).random(count) < part
    return Trial(share, np.where(right, 0.9, 0.4).astype(np.float32), ~right)


@pytest.mark.parametrize(
    ("heads", "epsilon", "needed"),
    [(1, 0.005, 598), (1, 0.01, 299), (1, 0.02, 149), (2, 0.005, 1474), (2, 0.01, 736), (2, 0.02, 368)],
)
def test_as_many_samples_are_needed_as_docs_say(heads: int, epsilon: float, needed: int) -> None:
    assert samples_needed(heads, epsilon=epsilon, delta=0.05) == needed


@given(st.integers(1, 3), st.floats(1e-4, 0.4), st.floats(0.01, 0.5))
def test_needed_samples_are_just_enough(heads: int, epsilon: float, delta: float) -> None:
    count = samples_needed(heads, epsilon=epsilon, delta=delta)
    part = delta / heads
    assert upper_bound(0, count, delta=part) <= epsilon / heads * (1 + 1e-9)
    assert count == 1 or upper_bound(0, count - 1, delta=part) > epsilon / heads * (1 - 1e-9)


def test_more_samples_carry_more_heads() -> None:
    counts = [most_heads(count, epsilon=0.005, delta=0.05) for count in (598, 2900, 3000, 6000, 10**6)]
    assert counts == [1, 1, 2, MOST_HEADS, MOST_HEADS]


def test_samples_leave_in_order_of_confidence_until_errors_are_too_many() -> None:
    one = trial(0.5, [0.9, 0.8, 0.7, 0.6, float("nan")], [False, True, False, True, True])
    assert one.leaving(0.0).tolist() == [True, False, False, False, False]
    assert one.leaving(0.2).tolist() == [True, True, True, False, False]
    assert one.leaving(0.4).tolist() == [True, True, True, True, False]


@given(st.integers(0, 20), st.floats(0, 0.3), st.integers(1, 60))
def test_who_leaves_keeps_to_the_errors_allowed(seed: int, epsilon: float, count: int) -> None:
    generator = np.random.default_rng(seed)
    one = Trial(0.5, generator.random(count, np.float32), generator.random(count) < 0.3)
    assert (one.leaving(epsilon) & one.costly).sum() <= epsilon * count


def test_the_shallower_of_two_equals_is_chosen() -> None:
    assert choose([sure_of(0.9, 0.2), sure_of(0.9, 0.6)], most=1, epsilon=0.01) == (0,)


def test_a_deeper_head_is_chosen_where_many_more_leave() -> None:
    assert choose([sure_of(0.3, 0.2), sure_of(0.95, 0.6)], most=1, epsilon=0.01) == (1,)


def test_two_heads_are_chosen_where_both_help() -> None:
    assert choose([sure_of(0.5, 0.1), sure_of(0.1, 0.4), sure_of(0.95, 0.6)], most=2, epsilon=0.01) == (0, 2)


def test_a_useless_second_head_is_left_out() -> None:
    assert choose([sure_of(0.9, 0.1), sure_of(0.0, 0.6)], most=2, epsilon=0.01) == (0,)
