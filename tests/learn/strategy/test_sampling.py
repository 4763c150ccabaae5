"""Who is asked, and with whom a device is summed."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.errors import InvalidArgumentError
from splitnet.learn.strategy import SMALL_SITES, form_cohorts, sample_devices

IDS = [f"{number:016x}" for number in range(40)]


@given(st.permutations(IDS), st.floats(0.01, 1), st.integers(2, 40), st.integers(0, 99))
def test_a_sample_is_the_same_for_the_same_round(ids: list[str], share: float, least: int, round_: int) -> None:
    sample = sample_devices(ids, share=share, least=least, seed=1, round_=round_)
    assert sample == sample_devices(sorted(ids), share=share, least=least, seed=1, round_=round_)
    assert len(set(sample)) == len(sample) == max(least, math.ceil(share * 40 - 1e-9))
    assert set(sample) <= set(IDS)
    assert list(sample) == sorted(sample)


def test_each_device_is_asked_equally_often() -> None:
    asked = Counter(
        each for round_ in range(1000) for each in sample_devices(IDS, share=0.25, least=2, seed=7, round_=round_)
    )
    assert set(asked) == set(IDS)
    # 250 of 1,000 expected, standard deviation 14: five of them.
    assert max(abs(count - 250) for count in asked.values()) < 70


def test_seeds_and_rounds_ask_others() -> None:
    samples = {
        sample_devices(IDS, share=0.5, least=2, seed=seed, round_=round_)
        for seed in range(5)
        for round_ in range(5)
    }
    assert len(samples) == 25


def test_too_few_to_ask() -> None:
    with pytest.raises(InvalidArgumentError, match="2 devices are available, the round needs 3"):
        sample_devices(["a", "b", "a"], share=1.0, least=3, seed=0, round_=0)


@given(st.dictionaries(st.sampled_from(IDS), st.sampled_from("abcdef"), min_size=3), st.integers(2, 3))
def test_every_device_is_in_one_cohort_that_is_large_enough(sites: dict[str, str], least: int) -> None:
    cohorts = form_cohorts(sites, least=least)
    assert sorted(each for ids in cohorts.values() for each in ids) == sorted(sites)
    assert all(len(ids) >= least for ids in cohorts.values())
    count = Counter(sites.values())
    assert {site for site in count if count[site] >= least} == set(cohorts) - {SMALL_SITES}


def test_small_sites_join_together_or_else_the_smallest() -> None:
    sites = dict(zip("abcdefghi", ["one"] * 4 + ["two"] * 3 + ["three", "four"], strict=True))
    assert form_cohorts(sites, least=2) == {
        SMALL_SITES: ("h", "i"),
        "one": tuple("abcd"),
        "two": tuple("efg"),
    }
    assert form_cohorts(sites, least=3) == {"one": tuple("abcd"), "two": tuple("efghi")}


def test_too_few_for_any_cohort() -> None:
    with pytest.raises(InvalidArgumentError, match="2 devices take part, a sum needs 3"):
        form_cohorts({"a": "one", "b": "two"}, least=3)
