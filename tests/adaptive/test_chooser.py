"""What a plan is predicted to take, and when another one is named."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.adaptive import Conditions, predict
from splitnet.package import LinkEntry, PlanEntry
from splitnet.telemetry import Exchange
from tests.adaptive.plans import HALF, LINKS, LITTLE, MUCH, NOTHING, chooser_of, plan

PLANS = st.sampled_from([MUCH, HALF, LITTLE, NOTHING, plan("e", (3.0, 2.0, 1.0), 0, 0.4)])


def at(bandwidth_bps: float, **fields: object) -> Conditions:
    links = (LinkEntry(bandwidth_bps=bandwidth_bps, rtt_ms=10.0), LINKS[1])
    return Conditions(links=links, **fields)  # type: ignore[arg-type]


def test_a_request_takes_what_its_stages_take() -> None:
    predicted = predict(MUCH, at(20e6))
    assert predicted.latency_ms == pytest.approx(5 + 40_480 * 8e3 / 20e6 + 10 + 10)
    assert predicted.slowest_ms == pytest.approx(40_480 * 8e3 / 20e6)
    assert predict(MUCH, at(20e6, in_flight=8.0)).latency_ms == pytest.approx(8 * predicted.slowest_ms)
    assert predict(MUCH, at(20e6, slowness={"edge": 3.0})).latency_ms == pytest.approx(predicted.latency_ms + 20)
    assert predict(MUCH, at(20e6, queue_ms={"edge": 7.0})).latency_ms == pytest.approx(predicted.latency_ms + 7)


def test_who_leaves_early_sends_nothing() -> None:
    half = plan("e", (5.0, 10.0), 40_000, reach=0.5)
    assert predict(half, at(20e6)).latency_ms == pytest.approx(5 + (40_480 * 8e3 / 20e6 + 10 + 10) / 2)
    both = predict(half, at(20e6, samples=2.0)).latency_ms
    assert both == pytest.approx(2 * 5 + 10 + 40_000 * 8e3 / 20e6 + 0.75 * (480 * 8e3 / 20e6 + 10))


@given(PLANS, st.floats(1e5, 1e9), st.floats(1.0, 20.0), st.floats(1.0, 50.0))
def test_a_faster_link_is_never_worse(entry: PlanEntry, bps: float, times: float, in_flight: float) -> None:
    slow, fast = (predict(entry, at(one, in_flight=in_flight)) for one in (bps, bps * times))
    assert fast.latency_ms <= slow.latency_ms
    assert fast.slowest_ms <= slow.slowest_ms
    assert slow.slowest_ms <= slow.latency_ms


def test_with_the_link_down_what_needs_it_cannot_answer() -> None:
    assert predict(MUCH, at(20e6, is_up=False)).latency_ms == math.inf
    chooser = chooser_of(MUCH, LITTLE, NOTHING)
    assert chooser.choose(10.0) == MUCH.id
    chooser.set_link(up=False)
    assert chooser.choose(10.1) == NOTHING.id
    chooser.set_link(up=True)
    assert chooser.choose(10.2) == NOTHING.id  # which is held
    assert chooser.choose(11.0) == MUCH.id


def test_a_plan_that_is_not_ready_is_not_named() -> None:
    chooser = chooser_of(LITTLE, MUCH)
    chooser.set_ready(MUCH.id, ready=False)
    assert chooser.choose(1.0) == LITTLE.id
    chooser.set_ready(MUCH.id, ready=True)
    assert chooser.choose(1.1) == MUCH.id
    chooser.set_ready(MUCH.id, ready=False)
    assert chooser.choose(1.2) == LITTLE.id


def test_a_little_better_is_not_worth_a_change() -> None:
    alike = plan("e", (5.0, 8.0), 40_000)
    assert chooser_of(MUCH, alike).choose(1.0) == MUCH.id
    assert chooser_of(MUCH, alike, margin=0.0).choose(1.0) == alike.id


@pytest.mark.parametrize("objective", ["energy", "bytes"])
def test_what_the_bandwidth_does_not_change_keeps_its_plan(objective: str) -> None:
    plans = [each.model_copy(update={"objective": objective}) for each in (LITTLE, MUCH)]
    assert chooser_of(*plans).choose(1.0) == LITTLE.id


def test_for_throughput_the_slowest_counts() -> None:
    """Its latency is worse, but nothing in it takes as long as 60 ms."""
    even = plan("e", (28.0, 28.0), 30_000)
    plans = [each.model_copy(update={"objective": "throughput"}) for each in (LITTLE, even)]
    assert chooser_of(*plans).choose(1.0) == even.id


def test_a_slow_edge_moves_work_to_the_device() -> None:
    chooser = chooser_of(MUCH, NOTHING)
    assert chooser.choose(1.0) == MUCH.id
    for edge_ms in [10.0] * 16 + [100.0] * 16:
        chooser.answered(
            MUCH.id, reached={"device": 1, "edge": 1}, compute_ms={"device": 5.0, "edge": edge_ms}, queue_ms={}
        )
    assert chooser.choose(2.0) == NOTHING.id
    # It was in order before: after a while it is worth another try, and not before.
    assert chooser.choose(5.0) == NOTHING.id
    assert chooser.choose(60.0) == MUCH.id


def test_probes_go_out_only_where_they_can_tell_something() -> None:
    chooser = chooser_of(NOTHING, MUCH, hold_s=0, margin=0.3)
    chooser.link.bandwidth_bps = 1e6
    assert chooser.probe(1.0) is None  # nobody asks for anything
    chooser.choose(1.0)
    sent: list[int] = []
    ticket = -1
    for tick in range(40):
        now_s = 1.0 + tick * 0.05
        chooser.choose(now_s)
        nbytes = chooser.probe(now_s)
        if nbytes is not None:
            sent.append(nbytes)
            ticket = chooser.sent_probe(nbytes, now_s)
            assert chooser.probe(now_s + 5) is None  # one is under way
            chooser.returned(ticket, now_s + 0.03)
            seconds = 0.0109 + (nbytes + 480) * 8 / 1e6
            chooser.observe(Exchange("edge:1", nbytes + 480, 0, seconds, 0.0, 0), now_s + 0.04)
    assert sent[0] == 64
    assert all(size == pytest.approx(2_500, abs=2) for size in sent[1:])
    assert 3 <= len(sent) <= 7
    assert chooser_of(NOTHING).probe(1.0) is None
