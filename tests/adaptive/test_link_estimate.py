"""What a link carries is found out from messages that went over it, whatever else goes on."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.adaptive import LinkEstimate
from splitnet.package import LinkEntry
from splitnet.telemetry import Exchange

RTT_S = 0.01
PLANNED = LinkEntry(bandwidth_bps=2e7, rtt_ms=RTT_S * 1e3)


class Line:
    """Sends messages over a link of a fixed bandwidth, one after the other or several at a time."""

    def __init__(self, estimate: LinkEstimate, bps: float, *, rtt_s: float = RTT_S, now_s: float = 0.0) -> None:
        self.estimate, self.bps, self.rtt_s, self.now_s = estimate, bps, rtt_s, now_s

    def send(self, nbytes: int, *, remote_s: float = 0.0, extra_s: float = 0.0) -> None:
        seconds = self.rtt_s + nbytes * 8 / self.bps + remote_s + extra_s
        self.now_s += seconds
        self.estimate.observe(Exchange("edge:1", nbytes, 0, seconds, remote_s, 0), remote_s, self.now_s)

    def send_together(self, sizes: list[int]) -> None:
        passed_s = self.now_s
        begin_s = self.now_s
        for others, nbytes in enumerate(sizes):
            passed_s += nbytes * 8 / self.bps
            self.now_s = passed_s + self.rtt_s
            exchange = Exchange("edge:1", nbytes, 0, self.now_s - begin_s, 0.0, others)
            self.estimate.observe(exchange, 0.0, self.now_s)


@given(
    st.floats(1e5, 1e9),
    st.floats(0.0, 0.2),
    st.lists(st.integers(1, 200_000), min_size=1, max_size=6),
    st.floats(0.0, 5.0),
)
def test_the_bandwidth_is_found_and_the_round_trip_too(
    bps: float, rtt_s: float, sizes: list[int], remote_s: float
) -> None:
    """With the messages that a device sends and probes of a size that tells."""
    estimate = LinkEstimate(PLANNED)
    line = Line(estimate, bps, rtt_s=rtt_s)
    for _ in range(12):
        line.send(100)
        for nbytes in sizes:
            line.send(nbytes, remote_s=remote_s)
        line.send(max(2_048, int(10 * max(1e-3, rtt_s) * bps / 8)))
    assert estimate.bandwidth_bps == pytest.approx(bps, rel=0.15)
    assert estimate.rtt_s == pytest.approx(rtt_s, rel=0.1, abs=2 * 800 / bps + 1e-6)


def test_one_message_shows_a_drop_and_one_a_rise() -> None:
    estimate = LinkEstimate(PLANNED)
    line = Line(estimate, 20e6)
    for _ in range(5):
        line.send(40_000)
    assert estimate.bandwidth_bps == pytest.approx(20e6, rel=0.05)
    line.bps = 1.6e6
    line.send(40_000)
    assert estimate.bandwidth_bps == pytest.approx(1.6e6, rel=0.05)
    line.bps = 20e6
    line.send(40_000)
    assert estimate.bandwidth_bps == pytest.approx(20e6, rel=0.05)


def test_messages_at_a_time_do_not_look_like_a_slow_link() -> None:
    estimate = LinkEstimate(PLANNED)
    line = Line(estimate, 20e6)
    for _ in range(5):
        line.send_together([40_000] * 8)
    assert estimate.bandwidth_bps == pytest.approx(20e6, rel=0.05)
    line.bps = 1.6e6
    line.send_together([40_000] * 8)
    assert estimate.bandwidth_bps == pytest.approx(1.6e6, rel=0.05)


def test_a_tier_that_takes_long_does_not_look_like_a_slow_link() -> None:
    estimate = LinkEstimate(PLANNED)
    line = Line(estimate, 20e6)
    for seconds in (0.01, 0.5, 3.0):
        line.send(40_000, remote_s=seconds)
    assert estimate.bandwidth_bps == pytest.approx(20e6, rel=0.05)


def test_answers_in_another_order_mislead_nobody() -> None:
    """The second message was answered first: what the link took for it alone nobody can say."""
    estimate = LinkEstimate(PLANNED)
    one_s = 40_000 * 8 / 20e6
    estimate.observe(Exchange("edge:1", 40_000, 0, RTT_S + 2 * one_s, 0.0, 1), 0.0, RTT_S + 2 * one_s)
    assert estimate.bandwidth_bps == 20e6
    estimate.observe(Exchange("edge:1", 40_000, 0, 1.0, 1.0 - RTT_S - one_s, 0), 1.0 - RTT_S - one_s, 1.0)
    assert estimate.bandwidth_bps == pytest.approx(20e6, rel=0.05)


def test_small_messages_and_noise_do_not_move_it() -> None:
    rng = random.Random(0)  # noqa: S311
    estimate = LinkEstimate(PLANNED)
    line = Line(estimate, 20e6)
    for _ in range(500):
        line.send(rng.choice([400, 900, 2_000]), extra_s=rng.expovariate(1 / 0.0005))
    assert 5e6 < estimate.bandwidth_bps < 40e6
    line.send(20_000)
    assert estimate.bandwidth_bps == pytest.approx(20e6, rel=0.5)


def test_where_messages_often_come_late_one_alone_shows_no_drop() -> None:
    rng = random.Random(1)  # noqa: S311
    estimate = LinkEstimate(PLANNED)
    line = Line(estimate, 20e6)
    for index in range(60):
        line.send(40_000, extra_s=rng.uniform(0.1, 0.15) if index % 5 == 0 else 0.0)
    assert estimate.bandwidth_bps > 5e6
    line.bps = 1.6e6
    for _ in range(5):
        line.send(40_000)
    assert estimate.bandwidth_bps == pytest.approx(1.6e6, rel=0.3)


def test_one_short_message_that_comes_late_shows_no_drop_but_two_do() -> None:
    estimate = LinkEstimate(PLANNED)
    line = Line(estimate, 20e6)
    line.send(500, extra_s=0.2)
    line.send(500)
    line.send(500, extra_s=0.2)
    assert estimate.bandwidth_bps > 15e6
    line.send(500)
    line.bps = 1e5
    line.send(1_000)
    assert estimate.bandwidth_bps > 15e6
    line.send(1_000)
    assert estimate.bandwidth_bps == pytest.approx(1e5, rel=0.3)


@pytest.mark.parametrize("slow_bps", [1e4, 1e5])
def test_the_shortest_message_corrects_what_cannot_be(slow_bps: float) -> None:
    estimate = LinkEstimate(PLANNED)
    estimate.bandwidth_bps = slow_bps
    Line(estimate, 20e6).send(500)
    assert estimate.bandwidth_bps >= 500 * 8 / (RTT_S + 500 * 8 / 20e6)


def test_a_message_that_is_overdue_shows_a_drop_before_it_is_answered() -> None:
    estimate = LinkEstimate(PLANNED)
    line = Line(estimate, 20e6)
    line.send(40_000)
    sent_s = line.now_s
    estimate.overdue(40_000, sent_s, 0.01, sent_s + 0.1)
    assert estimate.bandwidth_bps == pytest.approx(20e6, rel=0.05)
    estimate.overdue(40_000, sent_s, 0.01, sent_s + 0.2)
    assert estimate.bandwidth_bps < 2e6
    estimate.observe(Exchange("edge:1", 40_000, 0, 0.226, 0.2, 0), 0.2, sent_s + 0.226)  # it was the tier's fault
    assert estimate.bandwidth_bps == pytest.approx(20e6, rel=0.05)
