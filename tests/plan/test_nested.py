"""The solver against a listing of every placement, and against what must hold of any optimum."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splitnet.plan import (
    ExitPoint,
    LinkCost,
    Placement,
    Problem,
    Wire,
    best_split,
    evaluate,
    solve,
    unsplit,
)
from tests.plan.reference import Priced, busy_tiers, enumerate_all
from tests.plan.strategies import problems

FEW = settings(max_examples=60, derandomize=True, deadline=None)
MANY = settings(max_examples=400, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def close(value: float) -> object:
    return pytest.approx(value, rel=1e-9, abs=1e-9)


def find(listed: list[Priced], placement: Placement) -> Priced:
    """The one listed choice that `placement` is."""
    choice = (placement.last, placement.wires, placement.exits)
    (found,) = [one for one in listed if one.choice == choice]
    return found


@MANY
@given(problems())
def test_solve_is_the_best_of_all(problem: Problem) -> None:
    listed = enumerate_all(problem)
    placement = solve(problem)
    assert placement.predicted_ms == close(min(one.ms for one in listed))
    assert find(listed, placement).ms == close(placement.predicted_ms)


@MANY
@given(problems())
def test_among_equals_the_fewest_tiers_then_exits(problem: Problem) -> None:
    placement = solve(problem)
    limit = placement.predicted_ms * (1 + 1e-13)
    simplest = min(
        (one.last, sum(index is not None for index in one.exits))
        for one in enumerate_all(problem)
        if one.ms <= limit
    )
    assert (placement.last, sum(index is not None for index in placement.exits)) <= simplest


@FEW
@given(problems(max_steps=3, max_exits=2))
def test_evaluate_agrees_with_the_formula_on_every_choice(problem: Problem) -> None:
    for one in enumerate_all(problem):
        placement = evaluate(problem, one.last, one.wires, one.exits)
        assert placement.predicted_ms == close(one.ms)
        assert (placement.last, placement.wires, placement.exits) == one.choice


@FEW
@given(problems())
def test_the_answer_is_what_evaluate_says_of_it(problem: Problem) -> None:
    for placement in filter(None, (solve(problem), best_split(problem))):
        assert evaluate(problem, placement.last, placement.wires, placement.exits) == placement


@MANY
@given(problems())
def test_best_split_is_the_best_with_two_busy_tiers(problem: Problem) -> None:
    splits = [one for one in enumerate_all(problem) if busy_tiers(problem, one) >= 2]
    placement = best_split(problem)
    if placement is None:
        assert not splits
    else:
        assert find(splits, placement).ms == close(placement.predicted_ms)
        assert placement.predicted_ms == close(min(one.ms for one in splits))


@FEW
@given(problems())
def test_unsplit_choices_are_the_best_listed_at_the_input(problem: Problem) -> None:
    listed = enumerate_all(replace(problem, exit_on_device_required=False))
    choices = unsplit(problem)
    assert list(choices) == (["all-device", "all-edge", "all-cloud"] if problem.wires[0] else ["all-device"])
    for last, placement in enumerate(choices.values()):
        whole = [
            one.ms
            for one in listed
            if one.last == last and not any(w for w, _ in one.wires) and set(one.exits) <= {None}
        ]
        assert placement.last == last
        assert placement.predicted_ms == close(min(whole))
        assert find(listed, placement).ms == close(placement.predicted_ms)


@FEW
@given(problems(), st.integers(0, 2))
def test_a_faster_machine_never_hurts(problem: Problem, tier: int) -> None:
    speeds = list(problem.speeds)
    speeds[tier] *= 2
    faster = replace(problem, speeds=(speeds[0], speeds[1], speeds[2]))
    assert solve(faster).predicted_ms <= solve(problem).predicted_ms * (1 + 1e-9)


@FEW
@given(problems(), st.integers(0, 1))
def test_a_better_link_never_hurts(problem: Problem, index: int) -> None:
    links = list(problem.links)
    links[index] = LinkCost(links[index].bandwidth_bps * 2, links[index].delay_ms / 2, 0)
    better = replace(problem, links=(links[0], links[1]))
    assert solve(better).predicted_ms <= solve(problem).predicted_ms * (1 + 1e-9)


@FEW
@given(problems())
def test_demanding_a_device_exit_never_helps(problem: Problem) -> None:
    free, bound = (solve(replace(problem, exit_on_device_required=flag)) for flag in (False, True))
    assert free.predicted_ms <= bound.predicted_ms * (1 + 1e-9)
    assert bound.last == 0 or bound.exits[0] is not None


def chain(**changes: Any) -> Problem:
    """Ten steps of 10 ms; every position can be sent; nothing leaves early."""
    ten = tuple(10.0 for _ in range(10))
    wires = tuple((Wire("none", 1e5, 0.0, 0.0), Wire("u8", 25e3, 1.0, 1.0)) for _ in range(11))
    link = LinkCost(2e7, 5.0, 0.5)
    problem = Problem(ten, wires, (0.1, 1.0, 1.0), (link, link), (), {frozenset(): 1.0}, 40.0)
    return replace(problem, **changes)


def test_free_links_to_a_fast_cloud_take_everything_there() -> None:
    free = LinkCost(math.inf, 0, 0)
    wires = tuple((Wire("none", 1e6, 0, 0),) for _ in range(11))
    placement = solve(chain(links=(free, free), wires=wires, speeds=(0.1, 1.0, 100.0)))
    assert placement.wires == ((0, "none"), (0, "none"))
    assert placement.predicted_ms == close(1.0)


def test_links_too_slow_to_pay_keep_everything_on_the_device() -> None:
    slow = LinkCost(1e3, 1e3, 0)
    assert solve(chain(links=(slow, slow))).last == 0


def test_between_equal_machines_nothing_is_sent() -> None:
    free = LinkCost(math.inf, 0, 0)
    wires = tuple((Wire("none", 1e6, 0, 0),) for _ in range(11))
    assert solve(chain(links=(free, free), wires=wires, speeds=(1.0, 1.0, 1.0))).last == 0


def test_a_bottleneck_in_the_middle_is_where_it_is_cut() -> None:
    wires = tuple((Wire("none", 100.0 if position == 4 else 1e6, 0, 0),) for position in range(11))
    placement = solve(
        chain(wires=wires, speeds=(1.0, 10.0, 10.0), links=(LinkCost(1e6, 1, 0), LinkCost(1e3, 1e3, 0)))
    )
    assert placement.wires == ((4, "none"),)
    assert placement.depths == (4, 10)


def test_recomputing_from_a_small_input_beats_sending_a_large_activation() -> None:
    wires = tuple((Wire("none", 1e3 if position == 0 else 1e6, 0, 0),) for position in range(11))
    problem = chain(
        wires=wires,
        exits=(ExitPoint("early", 1, 0.0),),
        survival={frozenset(): 1.0, frozenset({0}): 0.5},
        speeds=(1.0, 10.0, 0.1),
        exit_on_device_required=True,
    )
    placement = solve(problem)
    assert (placement.wires, placement.exits, placement.depths) == (((0, "none"),), (0,), (1, 10))


def test_the_edge_passes_on_without_decoding() -> None:
    wires = ((Wire("jpeg", 1e4, 2.0, 3.0),), *(() for _ in range(10)))
    placement = evaluate(chain(wires=wires), 2, ((0, "jpeg"), (0, "jpeg")), (None, None))
    up = 8000 * (1e4 + 40) / 2e7 + 10.5
    assert dict(placement.stages) == {
        "device": 0.0,
        "device-edge": close(2.0 / 0.1 + up),
        "edge": 0.0,
        "edge-cloud": close(up + 3.0),
        "cloud": close(100.0),
    }


def test_stages_and_bytes_are_weighted_by_who_gets_there() -> None:
    problem = chain(
        exits=(ExitPoint("early", 2, 1.0), ExitPoint("late", 6, 2.0)),
        survival={
            frozenset(): 1.0,
            frozenset({0}): 0.5,
            frozenset({1}): 0.3,
            frozenset({0, 1}): 0.25,
        },
    )
    placement = evaluate(problem, 2, ((1, "u8"), (8, "none")), (0, 1))
    assert placement.depths == (2, 8, 10)
    assert placement.bytes == (0.5 * 25e3, 0.25 * 1e5)
    assert placement.stages == (
        ("device", close(200.0)),
        ("device exit", close(10.0)),
        ("device-edge", close(0.5 * (10.0 + 1.0 + 10.5 + 8000 * 25040 / 2e7))),
        ("edge", close(0.5 * 70.0)),
        ("edge exit", close(0.5 * 2.0)),
        ("edge-cloud", close(0.25 * (10.5 + 8000 * 100040 / 2e7))),
        ("cloud", close(0.25 * 20.0)),
    )
    assert placement.predicted_ms == close(sum(ms for _, ms in placement.stages))


def test_nothing_to_split_in_a_model_of_one_step() -> None:
    wires = ((Wire("none", 1.0, 0, 0),), ())
    assert best_split(chain(cost_ms=(1.0,), wires=wires)) is None


def test_three_thousand_positions_with_twelve_exits() -> None:
    steps, rng = 3000, np.random.default_rng(7)
    codecs = ("none", "f16", "u8", "u4")
    wires = tuple(
        tuple(Wire(codec, float(rng.uniform(1e3, 1e6)) / 2**n, 0.1 * n, 0.1 * n) for n, codec in enumerate(codecs))
        for _ in range(steps + 1)
    )
    exits = tuple(ExitPoint(f"exit{n}", 200 * (n + 1), 0.2) for n in range(12))
    survival = {frozenset({a, b}): 1.0 - 0.03 * a - 0.05 * b for a in range(12) for b in range(a, 12)}
    problem = Problem(
        cost_ms=tuple(rng.uniform(0, 0.1, steps).tolist()),
        wires=wires,
        speeds=(0.1, 1.0, 3.0),
        links=(LinkCost(2e7, 2.0, 0.5), LinkCost(1e8, 3.0, 0.5)),
        exits=exits,
        survival=survival,
        answer_nbytes=4000.0,
    )
    placement, split = solve(problem), best_split(problem)
    assert split is not None
    assert placement.predicted_ms <= split.predicted_ms
    assert all(placement.predicted_ms <= one.predicted_ms for one in unsplit(problem).values())
    for _ in range(2000):  # no random choice is better
        (w1, w2), (c1, c2) = sorted(rng.integers(0, steps, 2).tolist()), rng.choice(codecs, 2).tolist()
        assert evaluate(problem, 2, ((w1, c1), (w2, c2)), (None, None)).predicted_ms >= split.predicted_ms
