"""Numbers and names as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.report import quantities

SPACE = "\u00a0"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.00123, "0.00123"), (0.0000123, "0.000012"), (12.345, "12.3"), (99.96, "100"), (1234.5, "1,234")],
)
def test_numbers_keep_three_digits(value: float, text: str) -> None:
    assert quantities.number(value) == text


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_is_not_finite_is_not_shown_as_a_number(value: float) -> None:
    assert quantities.number(value) == "unknown"


def test_units_follow_the_size_and_stay_on_the_line() -> None:
    assert quantities.time(9.5) == f"9.5{SPACE}ms"
    assert quantities.time(12_000) == f"12{SPACE}s"
    assert quantities.size(999) == f"999{SPACE}B"
    assert quantities.size(999.6) == f"1{SPACE}kB"
    assert quantities.size(5e12) == f"5,000{SPACE}GB"
    assert quantities.rate(20e6) == f"20{SPACE}Mbit/s"
    assert quantities.energy(1.25) == f"1.25{SPACE}mJ"


@pytest.mark.parametrize(("value", "text"), [(0.004, "0.4"), (0.5, "50"), (0.953, "95.3"), (1.0, "100"), (0, "0")])
def test_shares_are_per_cent(value: float, text: str) -> None:
    assert quantities.share(value) == f"{text}{SPACE}%"


@given(st.text(), st.integers(min_value=3, max_value=60))
def test_short_names_are_one_printable_line(name: str, length: int) -> None:
    shown = quantities.short(name, length)
    assert len(shown) <= length
    assert all(character.isprintable() for character in shown)


def test_a_long_name_keeps_its_ends() -> None:
    shown = quantities.short("/encoder/" + 100 * "x" + "/MatMul_7", 20)
    assert shown.startswith("/encoder/")
    assert shown.endswith("/MatMul_7")
