"""Plans are changed as the link changes: at once where it counts, once a change, and at next to no cost."""

import pytest

from splitnet.package import PlanEntry
from tests.adaptive.plans import HALF, LITTLE, MUCH, NOTHING, chooser_of, manifest_of
from tests.adaptive.simulation import Outcome, Policy, Trace, World

FAST, SLOW = 20e6, 1.6e6
SQUARE = Trace(((0.0, FAST), (8.0, SLOW), (16.0, FAST)), 24.0)
OFTEN = Trace(tuple((5.0 * index, SLOW if index % 2 else FAST) for index in range(8)), 40.0)
DISTURBED = Trace(SQUARE.pieces, SQUARE.end_s, ((4.0, 4.15, 2e6), (12.0, 12.2, FAST), (20.0, 20.1, 4e6)))


def clairvoyant(plans: tuple[PlanEntry, ...], trace: Trace, clients: int) -> Policy:
    """Run at every moment what answers most at its bandwidth, for ever."""
    best = {
        bps: max(plans, key=lambda one: fixed(plans, Trace(((0.0, bps),), 8.0), clients, one).throughput([(1, 8)]))
        for _, bps in trace.pieces
    }
    return lambda now_s, _in_flight: best[[bps for begin_s, bps in trace.pieces if begin_s <= now_s][-1]].id


def fixed(plans: tuple[PlanEntry, ...], trace: Trace, clients: int, plan: PlanEntry) -> Outcome:
    return World(manifest_of(*plans), trace, clients=clients).run(lambda _now, _in_flight: plan.id)


def run(plans: tuple[PlanEntry, ...], trace: Trace, clients: int, *, seed: int) -> tuple[Outcome, float]:
    """What the chooser makes of a trace, and its regret in throughput outside the first second after a change."""
    spans = trace.steady()
    best = World(manifest_of(*plans), trace, clients=clients, seed=seed).run(clairvoyant(plans, trace, clients))
    outcome = World(manifest_of(*plans), trace, clients=clients, seed=seed).run(chooser_of(*plans))
    assert len(outcome.answers) == outcome.submitted
    return outcome, 1 - outcome.throughput(spans) / best.throughput(spans)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("clients", [1, 4, 8])
@pytest.mark.parametrize("plans", [(MUCH, LITTLE), (MUCH, NOTHING), (MUCH, HALF, LITTLE)], ids=["2", "alone", "3"])
def test_each_change_has_one_switch_and_costs_little(
    plans: tuple[PlanEntry, ...], clients: int, seed: int
) -> None:
    outcome, regret = run(plans, SQUARE, clients, seed=seed)
    assert regret <= 0.05
    assert [plan == MUCH.id for _, plan in outcome.switches] == [False, True]
    assert [8 < outcome.switches[0][0] < 9, 16 < outcome.switches[1][0] < 17] == [True, True]


@pytest.mark.parametrize("clients", [1, 4, 8])
def test_many_changes_are_followed(clients: int) -> None:
    outcome, regret = run((MUCH, LITTLE), OFTEN, clients, seed=5)
    assert regret <= 0.05
    assert len(outcome.switches) == len(OFTEN.pieces) - 1


@pytest.mark.parametrize("clients", [1, 4, 8])
def test_bursts_of_the_bandwidth_cost_little(clients: int) -> None:
    outcome, regret = run((MUCH, LITTLE), DISTURBED, clients, seed=7)
    assert regret <= 0.05
    assert len(outcome.switches) <= len(DISTURBED.changes_s)


def test_without_probes_a_plan_that_sends_nothing_stays() -> None:
    outcome = World(manifest_of(MUCH, NOTHING), SQUARE, clients=4).run(chooser_of(MUCH, NOTHING, probe_s=0))
    assert [plan for _, plan in outcome.switches] == [NOTHING.id]
    assert outcome.probed_bytes == 0


def test_probes_take_a_small_share_of_the_link() -> None:
    slow = Trace(((0.0, FAST), (2.0, SLOW)), 22.0)
    outcome = World(manifest_of(MUCH, NOTHING), slow, clients=4).run(chooser_of(MUCH, NOTHING))
    assert 0 < outcome.probed_bytes * 8 < 0.06 * 20 * SLOW
    assert [plan for _, plan in outcome.switches] == [NOTHING.id]


@pytest.mark.parametrize(("rate", "burst"), [(4.0, 1), (8.0, 2)])
def test_requests_that_come_by_themselves_gain_too(rate: float, burst: int) -> None:
    """Open loop: a plan that the link cannot carry would let requests wait without end."""
    manifest, spans = manifest_of(MUCH, LITTLE), SQUARE.steady()

    def latency_s(policy: str | None) -> float:
        world = World(manifest, SQUARE, rate=rate, burst=burst, seed=3)
        outcome = world.run(chooser_of(MUCH, LITTLE) if policy is None else lambda _now, _in_flight: policy)
        assert len(outcome.answers) == outcome.submitted
        return outcome.mean_latency_s(spans)

    chosen_s = latency_s(None)
    assert chosen_s < 0.95 * latency_s(MUCH.id)
    assert chosen_s < 0.95 * latency_s(LITTLE.id)
