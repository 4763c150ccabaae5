"""Bit rates, sizes and durations as people write them."""

import math
import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.errors import InvalidArgumentError
from splitnet.units import parse_duration_s, parse_rate, parse_size

FACTORS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9}
SPACE = st.text(" \t", max_size=2)
COMMON = settings(derandomize=True, deadline=None)


@COMMON
@given(st.integers(1, 10**6), st.sampled_from(sorted(FACTORS)), st.tuples(SPACE, SPACE, SPACE))
def test_whole_numbers_are_exact(number: int, suffix: str, spaces: tuple[str, str, str]) -> None:
    before, between, after = spaces
    assert parse_rate(f"{before}{number}{between}{suffix}{after}") == number * FACTORS[suffix]


@COMMON
@given(st.decimals("0.001", "1000", places=3), st.sampled_from(sorted(FACTORS)))
def test_fractions(number: object, suffix: str) -> None:
    assert parse_rate(f"{number}{suffix}") == pytest.approx(float(str(number)) * FACTORS[suffix], rel=1e-12)


@COMMON
@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False) | st.integers(1, 2**63))
def test_numbers_pass(number: float) -> None:
    assert parse_rate(number) == float(number)


NOT_RATES = ("", "M", "20m", "20MB", "1e3", "-5M", "nan", "inf", "1_000", "٣M", "0k", "9" * 400, ".", "1 2")


@pytest.mark.parametrize("rate", [*NOT_RATES, 0, -1, math.nan, math.inf, -math.inf, True])
def test_anything_else_is_refused_by_name(rate: str | float) -> None:
    with pytest.raises(InvalidArgumentError, match=re.escape(repr(rate))):
        parse_rate(rate)


@COMMON
@given(st.text(string.digits + " .kKMGe-_m", max_size=8))
def test_text_is_a_rate_or_our_error(rate: str) -> None:
    try:
        bps = parse_rate(rate)
    except InvalidArgumentError:
        return
    assert 0 < bps < math.inf
    assert set(rate) <= set(string.digits + " .kKMG")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5ms", 0.005),
        ("1.5s", 1.5),
        ("200us", 0.0002),
        ("200µs", 0.0002),
        (" 5 ms ", 0.005),
        (".5s", 0.5),
        ("2.s", 2.0),
        ("0", 0.0),
        ("0ms", 0.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == pytest.approx(seconds)


@COMMON
@given(st.integers(0, 10**9), st.sampled_from([("us", 1e-6), ("ms", 1e-3), ("s", 1.0)]))
def test_durations_scale_by_their_unit(count: int, unit: tuple[str, float]) -> None:
    assert parse_duration_s(f"{count}{unit[0]}") == pytest.approx(count * unit[1])


@pytest.mark.parametrize(
    "text", ["", "ms", "5", "-5ms", "5m", "5 h", "1e3s", "nan", "inf s", "5ms5", "5,5ms", "\u0665ms"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="write it like 5ms"):
        parse_duration_s(text)


SIZE_FACTORS = FACTORS | {"Ki": 2**10, "ki": 2**10, "Mi": 2**20, "Gi": 2**30}


@COMMON
@given(st.integers(1, 10**6), st.sampled_from(sorted(SIZE_FACTORS)), SPACE)
def test_whole_sizes_are_exact(number: int, suffix: str, space: str) -> None:
    assert parse_size(f"{number}{space}{suffix}") == number * SIZE_FACTORS[suffix]


@COMMON
@given(st.integers(1, 2**63))
def test_bytes_pass(number: int) -> None:
    assert parse_size(number) == number


def test_parts_of_a_byte_are_rounded() -> None:
    assert parse_size("1.4M") == 1_400_000
    assert parse_size("0.3Ki") == 307


@pytest.mark.parametrize("text", [*NOT_RATES, "12i", "1 TiB", "0.4"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=re.escape(repr(text))):
        parse_size(text)


@pytest.mark.parametrize("size", [0, -1, True, 1.5])
def test_a_number_that_is_no_size(size: int) -> None:
    with pytest.raises(InvalidArgumentError, match="expected bytes above zero"):
        parse_size(size)
