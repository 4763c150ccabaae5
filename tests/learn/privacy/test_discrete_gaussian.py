"""The sampler: its samples have the distribution that it says, and its exact path agrees with its fast one."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from splitnet.errors import InvalidArgumentError
from splitnet.learn.privacy import RandomWords
from splitnet.learn.privacy.bernoulli import _exp_bounds, exp_coins
from splitnet.learn.privacy.discrete_gaussian import MOST_VARIANCE, discrete_gaussian

SAMPLES = 200_000
#: A wrong sampler is told from a right one long before; a right one fails at no seed that was tried (1 to 20).
UNLIKELY = 1e-4


def seeded(number: int) -> RandomWords:
    return RandomWords(number.to_bytes(32, "little"))


def masses(variance: float, most: int) -> NDArray[np.float64]:
    """Return the exact probabilities of -most to most; the rest is too little to see."""
    weights = np.exp(-(np.arange(-most, most + 1) ** 2) / (2 * variance))
    normed: NDArray[np.float64] = weights / weights.sum()
    return normed


def p_value(observed: NDArray[np.int64], expected: NDArray[np.float64]) -> float:
    """Return that of a chi-square test, with bins of less than 10 expected put together."""
    kept = expected >= 10
    left, right = (
        np.append(observed[kept], observed[~kept].sum()),
        np.append(expected[kept], expected[~kept].sum()),
    )
    if right[-1] < 1e-3:
        left, right = left[:-1], right[:-1]
    return float(stats.chisquare(left, right, sum_check=False).pvalue)


@pytest.mark.parametrize("variance", [Fraction(1, 4), Fraction(1), Fraction(9, 2), Fraction(23), Fraction(400)])
def test_samples_have_the_exact_probabilities(variance: Fraction) -> None:
    samples = discrete_gaussian(variance, SAMPLES, seeded(1))
    most = math.ceil(12 * math.sqrt(variance)) + 1
    assert samples.dtype == np.int64
    assert np.abs(samples).max() <= most
    observed = np.bincount(samples + most, minlength=2 * most + 1)
    assert p_value(observed, SAMPLES * masses(float(variance), most)) > UNLIKELY


def test_the_test_sees_a_rounded_gaussian() -> None:
    """What is next to right, a normal sample rounded, fails: variance 1 becomes 1 + 1/12."""
    rounded = np.rint(np.random.default_rng(1).normal(0, 1, SAMPLES)).astype(np.int64)
    observed = np.bincount(rounded + 13, minlength=27)
    assert p_value(observed, SAMPLES * masses(1.0, 13)) < UNLIKELY


@pytest.mark.parametrize("deviation", [2.0**10, 2.0**30 + 0.5, 2.0**58])
def test_wide_samples_are_gaussian(deviation: float) -> None:
    samples = discrete_gaussian(Fraction(deviation) ** 2, SAMPLES, seeded(2)) / deviation
    assert stats.kstest(samples, "norm").pvalue > UNLIKELY
    assert abs(samples.mean()) < 4 / math.sqrt(SAMPLES)
    assert abs(samples.var() - 1) < 4 * math.sqrt(2 / SAMPLES)
    assert abs((samples**4).mean() - 3) < 4 * math.sqrt(96 / SAMPLES)


def test_low_bits_are_uniform() -> None:
    samples = discrete_gaussian(Fraction(2.0**30) ** 2, SAMPLES, seeded(3))
    observed = np.bincount(samples & 255, minlength=256)
    assert p_value(observed, np.full(256, SAMPLES / 256)) > UNLIKELY


@given(numerator=st.integers(1, 10**6), denominator=st.integers(1, 10**3), size=st.integers(0, 300))
def test_every_size_and_variance(numerator: int, denominator: int, size: int) -> None:
    variance = Fraction(numerator, denominator)
    samples = discrete_gaussian(variance, size, seeded(4))
    assert samples.shape == (size,)
    assert np.abs(samples).max(initial=0) <= 10 * math.sqrt(variance) + 3
    assert np.array_equal(samples, discrete_gaussian(variance, size, seeded(4)))


@pytest.mark.parametrize("variance", [Fraction(0), Fraction(-1), Fraction(MOST_VARIANCE + 1)])
def test_a_variance_out_of_range_is_refused(variance: Fraction) -> None:
    with pytest.raises(InvalidArgumentError, match="expected above 0 and at most"):
        discrete_gaussian(variance, 1, seeded(5))


@pytest.mark.parametrize(
    "x", [Fraction(0), Fraction(1, 10**9), Fraction(1, 3), Fraction(1), Fraction(30), Fraction(5000)]
)
def test_coins_settled_exactly_fall_as_the_others(x: Fraction) -> None:
    """With margin 2 every coin takes the path that one in 2^39 takes; the same 64 bits decide either way."""
    given_ = np.full(300, float(x))
    fast = exp_coins(given_, lambda _: x, seeded(6))
    slow = exp_coins(given_, lambda _: x, seeded(6), margin=1e30)
    assert np.array_equal(fast, slow)


def test_a_coin_is_settled_by_more_bits_where_64_are_too_few() -> None:
    """The float value given is wrong on purpose: what is exact decides, with as many words as that takes."""

    class Fixed(RandomWords):
        """Words that begin exp(-1), digit for digit, and then fall below it or go beyond."""

        def __init__(self, last: int) -> None:
            self._rest = iter([word, last])

        def draw(self, count: int) -> NDArray[np.uint64]:
            return np.array([next(self._rest) for _ in range(count)], np.uint64)

    word = math.floor(2**64 * Fraction("0.36787944117144232159552377016146086744581113103176"))
    for last, falls in ((0, True), (2**64 - 1, False)):
        coins = exp_coins(np.ones(1), lambda _: Fraction(1), Fixed(last))
        assert coins.tolist() == [falls]


@given(st.fractions(0, 200), st.integers(3, 40))
def test_bounds_of_an_exponential_enclose_it(x: Fraction, digits: int) -> None:
    low, high = _exp_bounds(x, digits)
    finer_low, finer_high = _exp_bounds(x, digits + 20)
    assert low <= finer_low < finer_high <= high
    assert high - low <= finer_low / 10 ** (digits - 4) * (1 + x)
    assert float(finer_low) == pytest.approx(math.exp(-x), rel=1e-12)


def test_uniform_integers_are_unbiased() -> None:
    drawn = seeded(7).below(6, 60_000)
    assert p_value(np.bincount(drawn, minlength=6), np.full(6, 10_000.0)) > UNLIKELY
    assert seeded(7).below(1, 3).tolist() == [0, 0, 0]


def test_the_system_gives_another_stream_each_time() -> None:
    assert not np.array_equal(RandomWords().draw(4), RandomWords().draw(4))
    assert np.array_equal(np.concatenate([seeded(8).draw(5)]), seeded(8).draw(5))


def test_the_stream_is_chacha20() -> None:
    """The key stream of RFC 8439, appendix A.1, test vector 1."""
    expected = bytes.fromhex("76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7")
    assert RandomWords(bytes(32)).draw(4).astype("<u8").tobytes() == expected
