"""What the planner refuses, and that the message says which field is wrong."""

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from splitnet.errors import InvalidArgumentError
from splitnet.plan import ExitPoint, LinkCost, Problem, Wire, evaluate

LINK = LinkCost(2e7, 5.0, 0.5)
WIRE = Wire("none", 1e5, 0.0, 0.0)
PROBLEM = Problem(
    cost_ms=(1.0, 2.0, 3.0),
    wires=((WIRE,), (WIRE, replace(WIRE, codec="u8")), (), ()),
    speeds=(0.1, 1.0, 1.0),
    links=(LINK, LINK),
    exits=(ExitPoint("early", 1, 0.5), ExitPoint("late", 2, 0.5)),
    survival={frozenset(): 1.0, frozenset({0}): 0.6, frozenset({1}): 0.4, frozenset({0, 1}): 0.3},
    answer_nbytes=40.0,
)


def change(thing: Any, **fields: Any) -> object:
    """`replace` for values that the types would not let through."""
    return replace(thing, **fields)


def with_survival(**changes: float | None) -> Problem:
    """PROBLEM with survival entries set, or removed by None; `s01` is the set {0, 1}."""
    survival = dict(PROBLEM.survival)
    for name, value in changes.items():
        key = frozenset(int(digit) for digit in name[1:])
        if value is None:
            del survival[key]
        else:
            survival[key] = value
    return replace(PROBLEM, survival=survival)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: replace(WIRE, nbytes=-1), "nbytes"),
        (lambda: replace(WIRE, encode_ms=math.nan), "encode_ms"),
        (lambda: replace(WIRE, decode_ms=math.inf), "decode_ms"),
        (lambda: change(WIRE, nbytes="12"), "nbytes"),
        (lambda: replace(LINK, bandwidth_bps=0), "bandwidth_bps"),
        (lambda: replace(LINK, delay_ms=-0.1), "delay_ms"),
        (lambda: replace(LINK, overhead_ms=math.nan), "overhead_ms"),
        (lambda: ExitPoint("early", 1, -1), "'early': cost_ms"),
        (lambda: replace(PROBLEM, cost_ms=()), "cost_ms"),
        (lambda: replace(PROBLEM, cost_ms=(1.0, math.nan, 3.0)), r"cost_ms\[1\]"),
        (lambda: replace(PROBLEM, wires=PROBLEM.wires[:-1]), "wires"),
        (lambda: replace(PROBLEM, wires=((WIRE, WIRE), (), (), ())), r"wires\[0\]"),
        (lambda: change(PROBLEM, speeds=(1.0, 1.0)), "speeds"),
        (lambda: replace(PROBLEM, speeds=(1.0, 0.0, 1.0)), "speeds: edge"),
        (lambda: change(PROBLEM, links=(LINK,)), "links"),
        (lambda: replace(PROBLEM, answer_nbytes=-1), "answer_nbytes"),
        (lambda: replace(PROBLEM, exits=PROBLEM.exits[::-1]), r"exits\[1\] 'early'"),
        (lambda: replace(PROBLEM, exits=(ExitPoint("early", 3, 0.0),)), r"exits\[0\] 'early'"),
        (lambda: replace(PROBLEM, exits=(ExitPoint("x", 1, 0), ExitPoint("x", 2, 0))), "exits"),
        (lambda: with_survival(s01=None), r"survival\[\[0, 1\]\]"),
        (lambda: with_survival(s1=None), r"survival\[\[1\]\]"),
        (lambda: with_survival(s0=1.5), r"survival\[\[0\]\]"),
        (lambda: with_survival(s0=math.nan), r"survival\[\[0\]\]"),
        (lambda: with_survival(s=0.9), r"survival\[\[\]\]"),
        (lambda: with_survival(s2=0.9), "survival"),
    ],
)
def test_a_bad_field_is_named(make: Callable[[], object], field: str) -> None:
    with pytest.raises(InvalidArgumentError, match=field):
        make()


@pytest.mark.parametrize(
    ("last", "wires", "exits", "message"),
    [
        (3, ((0, "none"),) * 3, (None,) * 3, "last"),
        (1, (), (), "wires: expected 1"),
        (1, ((0, "none"),), (), "exits: expected 1"),
        (1, ((3, "none"),), (None,), "position 3"),
        (1, ((-1, "none"),), (None,), "position -1"),
        (1, ((2, "none"),), (None,), r"position 2 cannot be sent as 'none', only as \[\]"),
        (1, ((0, "u8"),), (None,), r"position 0 cannot be sent as 'u8', only as \['none'\]"),
        (2, ((1, "none"), (0, "none")), (None, None), "position 0 is not in 1..2"),
        (1, ((0, "none"),), (2,), "no exit 2"),
        (1, ((0, "none"),), (-1,), "no exit -1"),
        (2, ((0, "none"), (0, "none")), (1, 0), "'early' is not deeper"),
        (2, ((0, "none"), (0, "none")), (1, 1), "'late' is not deeper"),
    ],
)
def test_a_choice_that_does_not_fit_is_refused(
    last: int, wires: tuple[tuple[int, str], ...], exits: tuple[int | None, ...], message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        evaluate(PROBLEM, last, wires, exits)


def test_an_edge_that_starts_beyond_its_exit_is_refused() -> None:
    problem = replace(PROBLEM, wires=((WIRE,), (WIRE,), (WIRE,), ()))
    with pytest.raises(InvalidArgumentError, match="'early' at position 1 is before 2"):
        evaluate(problem, 2, ((2, "none"), (2, "none")), (None, 0))


def test_two_exits_at_one_position_need_no_common_survival() -> None:
    exits = (ExitPoint("small", 1, 0.1), ExitPoint("large", 1, 0.5))
    survival = {frozenset({0}): 0.6, frozenset({1}): 0.4}
    assert replace(PROBLEM, exits=exits, survival=survival).surviving((None, 1)) == 0.4


def test_problems_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        PROBLEM.answer_nbytes = 1.0  # type: ignore[misc]  # the point of the test
