"""A link that falls silent: pings find out whether it is dead, probes how fast a new one is."""

import pytest

from splitnet.adaptive import PlanChooser
from splitnet.telemetry import Exchange
from tests.adaptive.plans import MUCH, NOTHING, chooser_of

PING_BYTES = 64


def silent_request(chooser: PlanChooser, now_s: float, *, until_s: float) -> None:
    assert chooser.choose(now_s) == MUCH.id
    ticket = chooser.sent(MUCH.id, 1, now_s)
    assert chooser.choose(until_s) == NOTHING.id  # long overdue
    chooser.returned(ticket, until_s, unanswered=True)


def doubts(chooser: PlanChooser) -> bool:
    return chooser.is_doubtful


def pings(chooser: PlanChooser, now_s: float, *, answered: bool = False) -> float:
    """Send what is due, one after the other as long as that is pings at once, and return when that ended."""
    while (nbytes := chooser.probe(now_s)) == PING_BYTES:
        ticket, patience_s = chooser.sent_probe(nbytes, now_s), chooser.patience_s(nbytes, now_s)
        assert chooser.probe(now_s) is None, "one at a time"
        assert 0.2 <= patience_s <= 0.3
        now_s += 0.01 if answered else patience_s
        if answered:
            chooser.observe(Exchange("edge:1", 500, 0, 0.01, 0.0, 0), now_s)
        chooser.returned(ticket, now_s, unanswered=not answered)
        if not chooser.is_doubtful:
            break
    return now_s


def test_pings_follow_a_silent_request_at_once_until_the_link_is_given_up_or_late() -> None:
    chooser = chooser_of(MUCH, NOTHING)
    silent_request(chooser, 1.0, until_s=2.0)
    assert doubts(chooser)
    assert pings(chooser, 2.0) - 2.0 == pytest.approx(7 * 0.22, abs=0.1)
    assert not doubts(chooser)  # the breaker would have opened: it is not dead, but late
    chooser.choose(3.9)
    assert chooser.probe(3.9) in (PING_BYTES, 2_048)
    assert chooser.patience_s(PING_BYTES, 3.9) == 1.0


def test_one_that_is_answered_ends_the_doubt() -> None:
    chooser = chooser_of(MUCH, NOTHING)
    silent_request(chooser, 1.0, until_s=2.0)
    assert pings(chooser, 2.0, answered=True) == 2.01
    assert not doubts(chooser)


def test_who_refuses_is_there() -> None:
    chooser = chooser_of(MUCH, NOTHING)
    silent_request(chooser, 1.0, until_s=2.0)
    ticket = chooser.sent_probe(chooser.probe(2.0) or 0, 2.0)
    chooser.returned(ticket, 2.01)
    chooser.refused()
    assert not doubts(chooser)


def test_pings_wait_for_what_is_under_way_and_for_requests_to_come() -> None:
    chooser = chooser_of(MUCH, NOTHING)
    under_way = chooser.sent(MUCH.id, 1, 1.0)
    silent_request(chooser, 1.0, until_s=2.0)
    assert chooser.probe(2.0) is None
    chooser.returned(under_way, 2.0, unanswered=True)
    assert chooser.probe(5.0) is None  # nobody has asked for anything for 3 s
    chooser.choose(5.0)
    assert chooser.probe(5.0) == PING_BYTES


def test_without_probes_there_is_no_doubt() -> None:
    chooser = chooser_of(MUCH, NOTHING, probe_s=0)
    silent_request(chooser, 1.0, until_s=2.0)
    assert not doubts(chooser)
    assert chooser.probe(2.0) is None


def test_pings_behind_a_large_message_are_waited_for_while_it_may_still_be_on_its_way() -> None:
    chooser = chooser_of(MUCH, NOTHING)
    takes_s = chooser.link.carry_s(50 * MUCH.wires[0].sample_bytes)
    ticket = chooser.sent(MUCH.id, 50, 1.0)
    chooser.choose(1.0 + takes_s)
    chooser.returned(ticket, 1.0 + takes_s, unanswered=True)
    assert doubts(chooser)
    four_times_s = 1.0 + 4 * takes_s
    assert chooser.patience_s(PING_BYTES, 1.0 + takes_s) == 1.0  # at most, hence four pings more
    assert chooser.patience_s(PING_BYTES, four_times_s - 0.5) == pytest.approx(0.5 + 0.22, abs=0.1)
    assert chooser.patience_s(PING_BYTES, four_times_s + 0.5) == pytest.approx(0.22, abs=0.01)


def test_a_new_connection_is_probed_at_once_before_it_is_believed_to_be_as_fast_as_the_one_before() -> None:
    """The one that fell silent may have been slow, not dead: a plan that sends much would lose this one too."""
    chooser = chooser_of(MUCH, NOTHING)
    rtt = Exchange("edge:1", 500, 0, 0.01, 0.0, 0)
    chooser.observe(rtt, 0.5)
    silent_request(chooser, 1.0, until_s=2.0)
    pings(chooser, 2.0)
    slow_bps = chooser.link.bandwidth_bps
    chooser.set_link(up=False)
    assert not doubts(chooser)
    assert chooser.choose(4.0) == NOTHING.id
    chooser.set_link(up=True)
    assert not doubts(chooser)
    assert chooser.link.bandwidth_bps == slow_bps
    now_s = 4.0
    while chooser.choose(now_s) != MUCH.id:
        assert now_s < 5.0
        if nbytes := chooser.probe(now_s):
            ticket = chooser.sent_probe(nbytes, now_s)
            took_s = 0.01 + nbytes * 8 / 20e6
            chooser.observe(Exchange("edge:1", nbytes, 0, took_s, 0.0, 0), now_s + took_s)
            chooser.returned(ticket, now_s + took_s)
        now_s += 0.05


def test_a_probe_is_waited_for_as_long_as_it_may_take() -> None:
    chooser = chooser_of(NOTHING, MUCH)
    assert chooser.patience_s(20_000, 1.0) == pytest.approx(4 * (0.0109 + 20_480 * 8 / 20e6) + 0.2)
    chooser.link.bandwidth_bps = 1e4
    assert chooser.patience_s(20_000, 1.0) == 1.0
