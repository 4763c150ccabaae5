"""A tier that is gone behind a link that is not: left once, tried rarely, and gone back to."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.adaptive import PlanChooser, SampleEnd
from splitnet.package import PlanEntry
from splitnet.telemetry import Exchange
from tests.adaptive.plans import HALF, MUCH, NOTHING, chooser_of, plan

#: On to the cloud, which would be the best; HALF ends at the edge, NOTHING on the device.
DEEP = plan("f", (2.0, 3.0, 1.0), 8_000)

WHOLE, GONE = SampleEnd("cloud", ""), SampleEnd("edge", "UNAVAILABLE")
LATE = SampleEnd("edge", "DEADLINE_EXCEEDED")


@dataclass
class Device:
    """Asks every so often, and hears at once how each request ended."""

    chooser: PlanChooser
    every_s: float = 0.0625
    cloud: Callable[[float], SampleEnd] = lambda _: WHOLE
    edge_says: Callable[[float], bool | None] | None = None
    now_s: float = 0.0
    switches: list[tuple[float, str]] = field(default_factory=list)
    stood_in: list[float] = field(default_factory=list)
    asked: int = 0

    def until(self, end_s: float) -> None:
        while self.now_s < end_s:
            before = self.chooser.current
            chosen = self.chooser.choose(self.now_s)
            if self.chooser.current != before:
                self.switches.append((self.now_s, self.chooser.current))
            ends = {DEEP.id: self.cloud(self.now_s), NOTHING.id: SampleEnd("device", "")}
            end = ends.get(chosen, SampleEnd("edge", ""))
            self.asked += 1
            if end.reason:
                self.stood_in.append(self.now_s)
            self.chooser.ended(chosen, [end], asked_s=self.now_s, now_s=self.now_s)
            if self.edge_says is not None:
                self._probe(self.edge_says)
            self.now_s += self.every_s

    def _probe(self, edge_says: Callable[[float], bool | None]) -> None:
        nbytes = self.chooser.probe(self.now_s)
        if nbytes is None:
            return
        waiting, ticket = self.chooser.waiting, self.chooser.sent_probe(nbytes, self.now_s)
        took_s = 0.01 + self.chooser.link.carry_s(nbytes + 480)
        self.chooser.observe(Exchange("edge:1", nbytes + 480, 0, took_s, 0.0, 0), self.now_s + took_s)
        self.chooser.returned(ticket, self.now_s + took_s)
        said = edge_says(self.now_s)
        if waiting is not None and said is not None:
            self.chooser.said(waiting, self.now_s, whole=said)


def outage(begin_s: float, end_s: float, how: SampleEnd = GONE) -> Callable[[float], SampleEnd]:
    return lambda now_s: how if begin_s <= now_s < end_s else WHOLE


@pytest.mark.parametrize("how", [GONE, LATE], ids=lambda end: end.reason)
def test_without_its_cloud_the_edge_is_asked_for_what_it_can_do_itself(how: SampleEnd) -> None:
    device = Device(chooser_of(DEEP, HALF, NOTHING), cloud=outage(5.0, 25.0, how))
    device.until(40.0)
    assert [name for _, name in device.switches] == [HALF.id, DEEP.id]
    (left_s, _), (back_s, _) = device.switches
    assert (left_s, back_s) == (5.3125, 25.3125)  # 0.25 s of failures; it is tried every 2 s
    leaving, trying = (sum((at < left_s) is early for at in device.stood_in) for early in (True, False))
    assert (leaving, trying) == (5, 9)


def test_the_device_computes_by_itself_where_no_plan_ends_at_the_edge() -> None:
    """Nobody stands in: its requests failed while the link was up."""
    device = Device(chooser_of(DEEP, NOTHING), cloud=outage(5.0, 25.0, SampleEnd("", "UNAVAILABLE")))
    device.until(30.0)
    assert [name for _, name in device.switches] == [NOTHING.id, DEEP.id]


def test_where_every_plan_needs_it_nothing_is_changed() -> None:
    other = plan("e", (2.0, 3.0, 9.0), 8_000)
    device = Device(chooser_of(DEEP, other), cloud=outage(5.0, 25.0))
    device.until(30.0)
    assert not device.switches


@pytest.mark.parametrize("gone_s", [0.01, 0.2])
def test_a_moment_is_no_absence(gone_s: float) -> None:
    """Nor are the many requests that it may take along."""
    device = Device(chooser_of(DEEP, HALF), every_s=0.002, cloud=outage(5.0, 5.0 + gone_s))
    device.until(10.0)
    assert not device.switches
    assert len(device.stood_in) >= 5


def test_one_answer_in_three_that_is_late_is_no_absence() -> None:
    late = [LATE, LATE, WHOLE]
    device = Device(chooser_of(DEEP, HALF), cloud=lambda now_s: late[round(now_s / 0.0625) % 3])
    device.until(10.0)
    assert not device.switches


@pytest.mark.parametrize(
    "how",
    [SampleEnd("device", "DEADLINE_EXCEEDED"), SampleEnd("edge", "RESOURCE_EXHAUSTED"), SampleEnd("edge", "")],
)
def test_a_slow_link_too_much_work_and_early_exits_are_no_absence(how: SampleEnd) -> None:
    device = Device(chooser_of(DEEP, HALF), cloud=outage(5.0, 25.0, how))
    device.until(10.0)
    assert not device.switches


def test_nothing_is_tried_that_the_edge_knows_to_be_lost() -> None:
    device = Device(chooser_of(DEEP, HALF, NOTHING), cloud=outage(5.0, 25.0))
    device.edge_says = lambda now_s: not 5.0 <= now_s < 25.0
    device.until(40.0)
    assert [name for _, name in device.switches] == [HALF.id, DEEP.id]
    (left_s, _), (back_s, _) = device.switches
    assert [at for at in device.stood_in if at >= left_s] == []
    assert 25.0 < back_s <= 26.125  # it is asked each second, and the next request finds out


def test_what_an_edge_says_of_its_way_up_is_not_all() -> None:
    """The cloud is reached, but does not answer in time: it is tried as if nobody had said anything."""
    device, silent = (Device(chooser_of(DEEP, HALF, NOTHING), cloud=outage(5.0, 25.0, LATE)) for _ in range(2))
    device.edge_says = lambda _: True
    for each in (device, silent):
        each.until(40.0)
    assert (device.switches, device.stood_in) == (silent.switches, silent.stood_in)


def test_an_edge_that_can_be_asked_no_more_does_not_keep_a_device_from_trying() -> None:
    """Such as over a link on which something always is under way."""
    device = Device(chooser_of(DEEP, HALF, NOTHING), cloud=outage(5.0, 25.0))
    device.edge_says = lambda now_s: False if now_s < 15.0 else None
    device.until(40.0)
    assert [name for _, name in device.switches] == [HALF.id, DEEP.id]
    tried_s = [at for at in device.stood_in if at > 5.5]
    assert 17.0 <= tried_s[0] <= 18.5
    assert len(tried_s) == 4  # every 2 s again


def test_after_a_long_silence_the_edge_is_asked_before_a_request_is_lost() -> None:
    device = Device(chooser_of(DEEP, HALF, NOTHING), cloud=outage(5.0, 1e9), edge_says=lambda now_s: now_s < 5.0)
    device.until(10.0)
    lost = len(device.stood_in)
    for burst in range(1, 20):
        device.now_s = burst * 100.0
        device.until(device.now_s + 5.0)
    assert len(device.stood_in) == lost


def test_who_asks_rarely_is_back_as_soon_as_the_edge_says_that_the_cloud_is() -> None:
    device = Device(chooser_of(DEEP, HALF), every_s=1.0, cloud=outage(10.0, 100.0))
    device.edge_says = lambda now_s: not 10.0 <= now_s < 100.0
    device.until(200.0)
    assert len(device.stood_in) == 3
    assert device.switches[1] == (102.0, DEEP.id)


def test_an_edge_that_keeps_changing_its_word_costs_one_trial_more() -> None:
    device = Device(chooser_of(DEEP, HALF), every_s=1.0, cloud=outage(10.0, 1000.0))
    device.edge_says = lambda now_s: now_s % 4 >= 2
    device.until(1000.0)
    assert len(device.switches) == 1
    assert len(device.stood_in) <= 3 + 1 + device.asked / 20


@pytest.mark.parametrize(("failed", "tried"), [((DEEP, HALF), HALF), ((HALF,), DEEP)])
def test_what_is_said_of_the_cloud_keeps_nobody_from_trying_the_edge(
    failed: tuple[PlanEntry, ...], tried: PlanEntry
) -> None:
    chooser = chooser_of(DEEP, HALF, NOTHING)
    for each in failed:
        for now_s in (1.0, 1.2, 1.4):
            chooser.ended(each.id, [SampleEnd("", "UNAVAILABLE")], asked_s=now_s, now_s=now_s)
    chosen = set()
    for step in range(100):
        chosen.add(chooser.choose(2.0 + step / 20))
        chooser.said(DEEP.id, 2.0 + step / 20, whole=False)
    assert chosen == {NOTHING.id, tried.id}


def test_who_asks_rarely_is_not_used_for_trying() -> None:
    device = Device(chooser_of(DEEP, HALF), every_s=1.0, cloud=outage(10.0, 1000.0))
    device.until(1000.0)
    assert len(device.switches) == 1
    assert len(device.stood_in) <= 3 + device.asked / 20


def test_a_cloud_that_comes_and_goes_is_believed_ever_less() -> None:
    device = Device(chooser_of(DEEP, HALF), cloud=lambda now_s: GONE if now_s % 6 >= 3 else WHOLE)
    device.until(300.0)  # fifty outages
    assert len(device.switches) <= 16
    assert len(device.stood_in) <= 6 * 8 + 50


def test_what_was_asked_before_tells_nothing_afterwards() -> None:
    chooser = chooser_of(DEEP, HALF)
    device = Device(chooser, cloud=outage(5.0, 1000.0))
    device.until(6.0)
    assert chooser.current == HALF.id
    chooser.ended(DEEP.id, [WHOLE], asked_s=4.9, now_s=6.0)  # it was under way
    assert chooser.choose(6.1) == HALF.id
    assert chooser.current == HALF.id


def test_a_new_connection_may_lead_to_another_edge() -> None:
    device = Device(chooser_of(DEEP, HALF, NOTHING), cloud=outage(5.0, 10.0))
    device.until(10.0)
    device.chooser.set_link(up=False)
    device.until(10.5)
    device.chooser.set_link(up=True)
    device.until(11.1)
    assert [name for _, name in device.switches] == [HALF.id, NOTHING.id, DEEP.id]


def test_a_trial_that_an_early_exit_answers_goes_on_with_the_next_request() -> None:
    ends = iter([GONE] * 5 + [SampleEnd("edge", "")] * 3 + [WHOLE] * 1000)
    device = Device(chooser_of(DEEP, HALF), cloud=lambda _: next(ends))
    device.until(4.0)
    assert [name for _, name in device.switches] == [HALF.id, DEEP.id]


#: What a trial may end with that says nothing of its tier, and is not what was asked for.
OTHERWISE = [
    SampleEnd(who, reason) for who in ("", "device") for reason in ("DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")
]


@given(
    st.lists(
        st.tuples(st.floats(0.001, 2.0), st.sampled_from([WHOLE, GONE, LATE, *OTHERWISE])),
        min_size=1,
        max_size=400,
    )
)
def test_trying_takes_one_request_in_twenty_at_most(course: list[tuple[float, SampleEnd]]) -> None:
    """Whatever the cloud does; and the plan is changed for nothing else."""
    chooser, now_s, since = chooser_of(DEEP, HALF), 0.0, 0
    for pause_s, end in course:
        now_s += pause_s
        chosen = chooser.choose(now_s)
        since += 1
        if chooser.current == DEEP.id:
            assert chosen == DEEP.id
            since = 0
        elif chosen == DEEP.id:
            assert since >= 20
            assert chooser.choose(now_s) == HALF.id, "only one at a time"
            since = 0
        chooser.ended(chosen, [end if chosen == DEEP.id else SampleEnd("edge", "")], asked_s=now_s, now_s=now_s)


def test_for_energy_too_a_plan_that_cannot_be_run_gives_way() -> None:
    plans = [each.model_copy(update={"objective": "energy"}) for each in (DEEP, MUCH, NOTHING)]
    device = Device(chooser_of(*plans), cloud=outage(5.0, 10.0))
    device.until(15.0)
    device.chooser.set_link(up=False)
    device.until(16.0)
    assert [name for _, name in device.switches] == [MUCH.id, DEEP.id, NOTHING.id]


def test_the_order_of_plans_for_energy_needs_no_margin() -> None:
    plans = [each.model_copy(update={"objective": "energy"}) for each in (DEEP, MUCH, NOTHING)]
    chooser = chooser_of(*plans, margin=0.6)
    chooser.set_link(up=False)
    assert chooser.choose(1.0) == NOTHING.id
    chooser.set_ready(DEEP.id, ready=False)
    chooser.set_link(up=True)
    assert chooser.choose(2.0) == MUCH.id


def test_a_trial_of_which_nobody_hears_again_is_not_the_last() -> None:
    device = Device(chooser_of(DEEP, HALF), cloud=outage(0.0, 5.0))
    device.until(1.0)
    while device.chooser.choose(device.now_s) != DEEP.id:  # the caller is interrupted: it has no end
        device.now_s += device.every_s
    device.until(device.now_s + 90.0)
    assert device.chooser.current == DEEP.id


def test_a_server_that_says_no_times_speaks_for_itself_too() -> None:
    device = Device(chooser_of(DEEP, HALF), cloud=outage(5.0, 10.0))
    for start_s in range(100, 1000, 100):  # single failures, far apart, with whole answers in between
        device.cloud = outage(float(start_s), start_s + 0.1)
        device.until(start_s + 50.0)
    assert device.switches == []


def test_no_probe_goes_for_a_plan_whose_tier_is_gone() -> None:
    chooser = chooser_of(DEEP, HALF)
    device = Device(chooser, cloud=outage(5.0, 1e9))
    device.until(8.0)
    assert chooser.current == HALF.id
    ticket = chooser.sent_probe(chooser.probe(8.0) or 0, 8.0)
    chooser.observe(Exchange("edge:1", 500, 0, 0.01, 0.0, 0), 8.01)  # now the round trip is known
    chooser.returned(ticket, 8.01)
    assert chooser.probe(8.9) is None


def test_a_plan_that_is_no_longer_ready_is_worse_than_any_that_waits() -> None:
    chooser = chooser_of(DEEP, HALF, NOTHING)
    now_s = 0.0
    for _ in range(20):
        plan = chooser.choose(now_s)
        chooser.ended(plan, [GONE if plan == DEEP.id else SampleEnd("edge", "")], asked_s=now_s, now_s=now_s)
        now_s += 0.0625
    assert chooser.current == HALF.id
    chooser.set_ready(HALF.id, ready=False)  # the edge has thrown it out
    assert chooser.waiting == DEEP.id
    chooser.probe(now_s + 1.0)
