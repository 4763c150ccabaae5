import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.emulate import LinkShape
from splitnet.errors import InvalidArgumentError

shapes = st.builds(
    LinkShape,
    bandwidth_bps=st.floats(1e3, 1e11),
    delay_s=st.floats(0.01, 10),
    jitter_s=st.floats(0, 0.01),
)


def test_times_of_a_20_mbit_link() -> None:
    shape = LinkShape(bandwidth_bps=20e6, delay_s=0.005)
    assert shape.serialization_s(2_500_000) == pytest.approx(1.0)
    assert shape.transfer_s(2_500_000) == pytest.approx(1.005)
    assert shape.chunk_bytes == 7500
    assert shape.window_bytes == pytest.approx(2.5e6 * 0.205, abs=1)


def test_without_bandwidth_only_the_delay_counts() -> None:
    shape = LinkShape(delay_s=0.04)
    assert shape.serialization_s(10**9) == 0
    assert shape.transfer_s(10**9) == 0.04


@given(shapes)
def test_pieces_and_windows_are_bounded(shape: LinkShape) -> None:
    assert 256 <= shape.chunk_bytes <= 64 * 1024
    assert shape.chunk_bytes == 256 or shape.serialization_s(shape.chunk_bytes) <= 0.003
    assert shape.bandwidth_bps is not None
    in_flight = shape.bandwidth_bps * (shape.delay_s + shape.jitter_s) / 8
    assert max(64 * 1024, int(in_flight)) <= shape.window_bytes <= max(64 * 1024, in_flight + (8 << 20))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"bandwidth_bps": 0.0}, "bandwidth must be above 0"),
        ({"bandwidth_bps": -1.0}, "bandwidth must be above 0"),
        ({"bandwidth_bps": math.inf}, "bandwidth must be above 0"),
        ({"bandwidth_bps": math.nan}, "bandwidth must be above 0"),
        ({"delay_s": -0.001}, "delay must be 0 seconds or more"),
        ({"delay_s": math.inf}, "delay must be 0 seconds or more"),
        ({"delay_s": 1.0, "jitter_s": math.nan}, "jitter must be 0 seconds or more"),
        ({"delay_s": 0.001, "jitter_s": 0.002}, r"jitter \(0.002 s\) must not be larger than the delay"),
    ],
)
def test_impossible_shapes_are_refused(kwargs: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        LinkShape(**kwargs)
