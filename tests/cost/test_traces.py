"""Recorded bandwidths."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.cost import Trace
from splitnet.cost.traces import read_trace
from splitnet.errors import ConfigError, InvalidArgumentError, NotFoundError

COMMON = settings(derandomize=True, deadline=None)
HEADER = "seconds,bits_per_second\n"


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    lengths = draw(st.lists(st.integers(1, 1000), min_size=1, max_size=12))
    rates = draw(st.lists(st.integers(1, 10**9), min_size=len(lengths), max_size=len(lengths)))
    starts = [sum(lengths[:index]) / 8 for index in range(len(lengths) + 1)]
    return Trace(tuple(starts[:-1]), tuple(map(float, rates)), starts[-1])


def write(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_text(text, encoding="utf-8")
    return path


@COMMON
@given(traces(), st.floats(0, 1))
def test_mean_and_quantiles_lie_between_the_extremes(trace: Trace, q: float) -> None:
    low, high = min(trace.rates_bps), max(trace.rates_bps)
    assert low <= trace.quantile_bps(q) <= high
    assert low * (1 - 1e-9) <= trace.mean_bps <= high * (1 + 1e-9)
    assert (trace.quantile_bps(0), trace.quantile_bps(1)) == (low, high)


@COMMON
@given(traces(), st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_quantiles_rise(trace: Trace, shares: list[float]) -> None:
    assert trace.quantile_bps(min(shares)) <= trace.quantile_bps(max(shares))


@COMMON
@given(traces())
def test_the_mean_takes_as_long_as_a_transfer_at_a_random_moment(trace: Trace) -> None:
    ends = (*trace.starts_s[1:], trace.length_s)
    steps = zip(trace.starts_s, ends, trace.rates_bps, strict=True)
    expected_s = sum((end - start) / trace.length_s * 1e6 / rate for start, end, rate in steps)
    assert 1e6 / trace.mean_bps == pytest.approx(expected_s)


def test_a_step_counts_for_as_long_as_it_lasts() -> None:
    trace = Trace((0.0, 9.0), (1e6, 1e3), 10.0)
    assert trace.mean_bps == pytest.approx(10 / (9 / 1e6 + 1 / 1e3))
    assert (trace.quantile_bps(0.1), trace.quantile_bps(0.11)) == (1e3, 1e6)


@settings(COMMON, max_examples=25)
@given(traces())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, trace: Trace) -> None:
    lines = "".join(f"{start},{rate}\n" for start, rate in zip(trace.starts_s, trace.rates_bps, strict=True))
    folder = tmp_path_factory.mktemp("trace")
    assert read_trace(write(folder, HEADER + lines), length_s=trace.length_s) == trace
    assert read_trace(write(folder, f"{HEADER}{lines}{trace.length_s},1\n")) == trace


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"line 1: expected the header seconds,bits_per_second, got ''"),
        ("time,rate\n0,1\n", r"line 1: .*got 'time,rate'"),
        (HEADER, "0 lines; expected two or more"),
        (f"{HEADER}0,5M\n", "1 lines; expected two or more, or the length, in `trace_s`"),
        (f"{HEADER}0,5M\n1\n", "line 3: .*got '1'"),
        (f"{HEADER}0,5M\n1,2,3\n", "line 3: .*got '1,2,3'"),
        (f"{HEADER}0,0\n1,5\n", "line 2: expected seconds and bits a second above zero, .*got '0,0'"),
        (f"{HEADER}0,-3\n1,5\n", "line 2"),
        (f"{HEADER}zero,5\n1,5\n", "line 2"),
        (f"{HEADER}1,5\n2,5\n", "begins at 0 seconds, not at 1"),
        (f"{HEADER}0,5\n2,5\n1,5\n", "rise from line to line"),
        (f"{HEADER}0,5\n0,5\n1,5\n", "rise from line to line"),
        (f"{HEADER}0,5\nnan,5\n", "rise from line to line"),
        (f"{HEADER}0,5\ninf,5\n", "finite"),
        (f'{HEADER}"0\n', "line 2"),
    ],
)
def test_a_bad_file_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_trace(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_length_before_the_last_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="up to its length"):
        read_trace(write(tmp_path, f"{HEADER}0,5\n7,5\n"), length_s=6)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.csv: no such file"):
        read_trace(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="not a readable CSV file"):
        read_trace(tmp_path)
    path = tmp_path / "bytes.csv"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not a readable CSV file"):
        read_trace(path)


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none(q: float) -> None:
    with pytest.raises(InvalidArgumentError, match="expected a share"):
        Trace((0.0,), (1.0,), 1.0).quantile_bps(q)
