"""What noise promises: the accountant against closed forms, the noise of a sum against its variance."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, special, stats

from splitnet.errors import InvalidArgumentError
from splitnet.learn.privacy import (
    NoiseShare,
    RandomWords,
    central_promise,
    distributed_promise,
    noise_share,
    private_sum,
    summed_deviation,
)
from splitnet.learn.privacy.accounting import epsilon_of
from splitnet.learn.secure.contribution import Contribution, encode
from splitnet.learn.secure.encoding import Encoding

DELTA = 1e-5


def gaussian_epsilon(multiplier: float, delta: float) -> float:
    """Return the exact epsilon of a Gaussian mechanism (Balle and Wang 2018, theorem 8)."""

    def excess(epsilon: float) -> float:
        low = stats.norm.cdf(0.5 / multiplier - epsilon * multiplier)
        high = stats.norm.logcdf(-0.5 / multiplier - epsilon * multiplier)
        return float(low - math.exp(epsilon + high) - delta)

    return float(optimize.brentq(excess, 0, 1000))


def concentrated_epsilon(rho: float, delta: float) -> float:
    """Return the epsilon of rho-zCDP over all real orders (Canonne, Kamath and Steinke 2020, proposition 12)."""

    def at(log_order: float) -> float:
        order = 1 + math.exp(log_order)
        return rho * order + math.log1p(-1 / order) - math.log(delta * order) / (order - 1)

    return max(0.0, float(optimize.minimize_scalar(at, bounds=(-8, 8), method="bounded").fun))


@pytest.mark.parametrize("multiplier", [0.5, 1.0, 2.0, 5.0, 20.0])
@pytest.mark.parametrize("rounds", [1, 10, 100])
def test_epsilon_is_that_of_the_closed_forms(multiplier: float, rounds: int) -> None:
    rho = 1 / (2 * multiplier**2)
    epsilon = epsilon_of([rho] * rounds, DELTA)
    assert epsilon == pytest.approx(concentrated_epsilon(rho * rounds, DELTA), rel=0.001)
    exact = gaussian_epsilon(multiplier / math.sqrt(rounds), DELTA)
    assert exact <= epsilon <= 1.25 * exact + 0.05


def test_nothing_spent_is_no_epsilon() -> None:
    assert epsilon_of([], DELTA) == 0


def test_a_promise_is_that_of_the_paper() -> None:
    """Kairouz, Liu and Steinke 2021, by hand, with noise so small that the distance from one Gaussian counts."""
    share = NoiseShare(Fraction(1, 2), survivors=3)
    promise = distributed_promise(share, clip=1.0, scale=10.0, size=16)
    tau = 10 * (math.exp(-(math.pi**2) / 2) + math.exp(-(math.pi**2) * 2 / 3))
    assert promise.sensitivity == 12
    assert promise.deviation == pytest.approx(math.sqrt(1.5))
    assert promise.rho == pytest.approx((12 / math.sqrt(1.5) + 4 * tau) ** 2 / 2)


def test_of_one_device_and_of_wide_noise_nothing_is_added() -> None:
    """The sum of one is a discrete Gaussian; and from a deviation of 4 steps on, float64 no longer sees tau."""
    for share in (NoiseShare(Fraction(1, 2), 1), NoiseShare(Fraction(16), 50)):
        promise = distributed_promise(share, clip=1.0, scale=10.0, size=16)
        assert promise.rho == pytest.approx((promise.sensitivity / promise.deviation) ** 2 / 2, rel=1e-12)


def test_fine_steps_promise_what_the_multiplier_says() -> None:
    share = noise_share(2.0, clip=1.0, scale=2.0**26, survivors=7)
    distributed = distributed_promise(share, clip=1.0, scale=2.0**26, size=10**6)
    central = central_promise(2.0, size=10**6)
    assert distributed.rho == pytest.approx(1 / 8, rel=1e-4)
    assert central.rho == pytest.approx(1 / 8, rel=1e-3)
    assert min(distributed.rho, central.rho) > 1 / 8


@given(
    delta=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=40),
    exponent=st.integers(0, 20),
    seed=st.integers(0, 2**32),
)
def test_rounding_adds_no_more_than_is_stated(delta: list[float], exponent: int, seed: int) -> None:
    """One device in or zeros: the encoded sum differs by at most clip * scale + sqrt(d) / 2."""
    values = np.array(delta, np.float32)
    values += np.random.default_rng(seed).normal(0, 1e-3, len(delta)).astype(np.float32)
    clip = max(float(np.linalg.norm(values.astype(np.float64))), 1e-3)
    words = np.rint(values.astype(np.float64) * 2.0**exponent)
    assert np.linalg.norm(words) <= clip * 2.0**exponent + math.sqrt(len(delta)) / 2 + 1e-9


@pytest.mark.parametrize(("devices", "survivors"), [(5, 5), (9, 6)])
def test_the_noise_of_a_sum_has_its_variance(devices: int, survivors: int) -> None:
    """Through the encoding of the secure sum, with all devices and with just enough of them."""
    size, clip, multiplier = 20_000, 0.5, 1.5
    summed = summed_deviation(multiplier, clip=clip, survivors=survivors, devices=devices)
    encoding = Encoding.plan(parameters=size, devices=devices, clip=clip, most_weight=1, noise_std=summed)
    share = noise_share(multiplier, clip=clip, scale=encoding.scale, survivors=survivors)
    total = np.zeros(encoding.size, encoding.dtype)
    for number in range(devices):
        noise = share.sample(size, RandomWords(bytes([number]) * 32))
        total += encode(encoding, Contribution(np.zeros(size, np.float32), 1, noise=noise))
        if number + 1 == survivors:
            _check_variance(total.view("<i4")[:size] / encoding.scale, multiplier * clip)
    _check_variance(total.view("<i4")[:size] / encoding.scale, summed)


def _check_variance(noise: np.ndarray, deviation: float) -> None:
    assert abs(noise.var() / deviation**2 - 1) < 5 * math.sqrt(2 / noise.size)


def test_the_servers_noise_has_its_variance() -> None:
    total = np.linspace(-3, 3, 20_000)
    noisy = private_sum(total, clip=0.5, noise_multiplier=3.0, random=RandomWords(bytes(32)))
    _check_variance(noisy - total, 1.5)
    assert np.array_equal(np.rint(noisy * 2**25), noisy * 2**25)  # whole steps of clip / 2^24


@pytest.mark.parametrize(
    ("multiplier", "scale", "survivors", "says"),
    [
        (0.0, 1.0, 3, "above 0"),
        (1.0, math.inf, 3, "above 0"),
        (1.0, 1e6, 0, "above 0"),
        (1.0, 0.8, 3, "0.5 is the least"),
        (1.0, 2.0**60, 3, r"2\^58 is the most"),
    ],
)
def test_a_share_that_promises_nothing_is_refused(
    multiplier: float, scale: float, survivors: int, says: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        noise_share(multiplier, clip=1.0, scale=scale, survivors=survivors)


@pytest.mark.parametrize("order", [1.5, 2.0, 8.0])
def test_the_sum_of_two_keeps_the_promise(order: float) -> None:
    """The divergence itself, from the exact probabilities of the sum, at noise as small as is allowed."""
    variance, shift, reach = 0.5, 3, 80
    singly = special.log_softmax(-(np.arange(-reach, reach + 1) ** 2) / (2 * variance))
    # The logarithm of the probability that two sum to 0 .. reach, and so to -reach .. reach.
    upper = np.array([special.logsumexp(singly[k:] + singly[k:][::-1]) for k in range(reach + 1)])
    both = np.concatenate([upper[:0:-1], upper])
    terms = order * both[shift:] + (1 - order) * both[:-shift]
    divergence = float(special.logsumexp(terms)) / (order - 1)
    rho = distributed_promise(NoiseShare(Fraction(variance), 2), clip=shift - 0.5, scale=1.0, size=1).rho
    assert 0.7 * rho * order < divergence <= rho * order


def test_a_secure_sum_has_rounded_the_update_before_central_noise() -> None:
    """Of 10^6 coordinates each may be half a step off: 500 steps together, of the 2^15 that the clip has."""
    plain, secure = (central_promise(2.0, size=10**6, encoded=steps) for steps in (None, 2.0**15))
    assert secure.sensitivity == pytest.approx(plain.sensitivity + 2**24 * 500 / 2**15)
    assert secure.rho == pytest.approx(plain.rho * (1 + 500 / 2**15) ** 2, rel=1e-3)
