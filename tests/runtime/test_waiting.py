"""A line: whose turn it is, who goes together, who is left out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from splitnet.config import BatchingConfig
from splitnet.deadline import Deadline
from splitnet.runtime.waiting import Job, Line


@dataclass(slots=True, eq=False)
class Numbered(Job):
    number: int

    def compute(self, jobs: Sequence["Numbered"]) -> None:
        """Nobody runs these."""

    def expire(self) -> None:
        """Nobody ends these."""


def job(turn: int, *, samples: int = 1, level: int = 2, at_s: float = math.inf, since_s: float = 0.0) -> Numbered:
    made = Numbered(samples, Deadline(at_s), level, since_s, turn)
    made.turn = turn
    return made


def line(most: int, *, delay_ms: float = 0) -> Line[Numbered]:
    return Line(BatchingConfig(max_samples=most, max_delay_ms=delay_ms))


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5)), min_size=1, max_size=12), st.integers(1, 8))
def test_the_urgent_go_first_and_like_go_together(jobs: list[tuple[int, int]], most: int) -> None:
    waiting = line(most)
    for turn, (level, samples) in enumerate(jobs):
        waiting.add(job(turn, level=level, samples=samples))
    taken: list[list[Numbered]] = []
    while len(waiting):
        assert waiting.first == min(
            (level, turn)
            for turn, (level, _) in enumerate(jobs)
            if turn not in {each.number for group in taken for each in group}
        )
        taken.append(waiting.take(0.0))
    order = [(each.level, each.number) for group in taken for each in group]
    assert order == sorted((level, turn) for turn, (level, _) in enumerate(jobs))
    for group, following in zip(taken, [*taken[1:], None], strict=True):
        samples = sum(each.samples for each in group)
        assert len({each.level for each in group}) == 1
        assert len(group) == 1 or samples <= most
        if following is not None and following[0].level == group[0].level:
            assert samples + following[0].samples > most


@given(st.lists(st.floats(0, 10), min_size=1, max_size=12), st.floats(0, 10))
def test_the_expired_are_taken_out(ends_s: list[float], now_s: float) -> None:
    waiting = line(8)
    for turn, at_s in enumerate(ends_s):
        waiting.add(job(turn, at_s=at_s))
    gone = {each.number for each in waiting.expired(now_s)}
    assert gone == {turn for turn, at_s in enumerate(ends_s) if at_s <= now_s}
    assert waiting.expired(now_s) == []
    assert len(waiting) == len(ends_s) - len(gone)
    left = [each.number for _ in range(len(waiting)) for each in (waiting.take(now_s) if len(waiting) else [])]
    assert left == [turn for turn in range(len(ends_s)) if turn not in gone]


def test_who_is_taken_out_leaves_the_others_in_order() -> None:
    waiting = line(8)
    jobs = [job(turn, level=3 - turn % 3) for turn in range(6)]
    for each in jobs:
        waiting.add(each)
    assert waiting.remove(jobs[2])
    assert not waiting.remove(jobs[2])
    assert [each.number for _ in range(3) for each in waiting.take(0.0)] == [5, 1, 4, 0, 3]


def test_a_batch_is_no_larger_than_its_first_deadline_allows() -> None:
    waiting = line(8)
    waiting.note(4, 2.0)  # half a second a sample
    for turn, at_s in enumerate((9.0, 9.0, 1.6, 9.0)):
        waiting.add(job(turn, at_s=at_s))
    assert [each.number for each in waiting.take(0.0)] == [0, 1, 2]  # ends at 1.5 s
    assert [each.number for each in waiting.take(0.0)] == [3]
    for turn, at_s in enumerate((9.0, 0.9, 9.0)):
        waiting.add(job(turn, at_s=at_s))
    assert [each.number for each in waiting.take(0.0)] == [0]  # with the second it would end at 1.0 s
    assert [each.number for each in waiting.take(0.0)] == [1]  # nor may that one be kept longer


def test_what_a_sample_takes_is_learned_from_runs() -> None:
    waiting = line(64)
    for _ in range(40):
        waiting.note(1, 1.0)
    for _ in range(40):
        waiting.note(10, 1.0)
    for turn in range(20):
        waiting.add(job(turn, at_s=1.05))
    assert len(waiting.take(0.0)) == 10


def test_the_oldest_decides_how_long_the_others_are_waited_for() -> None:
    waiting = line(3, delay_ms=500)
    waiting.add(job(0, since_s=7.0))
    waiting.add(job(1, since_s=7.2, level=1))
    assert waiting.delays
    assert waiting.due_s() == 7.5
    waiting.add(job(2, since_s=7.3))
    assert waiting.due_s() == -math.inf
    assert [each.number for each in waiting.take(7.3)] == [1]
    assert waiting.due_s() == 7.5
    assert [each.number for each in waiting.take(7.5)] == [0, 2]
    assert not line(3).delays


def test_nobody_is_kept_waiting_for_company_past_half_of_its_time() -> None:
    waiting = line(8, delay_ms=1_000)
    waiting.add(job(1, at_s=0.5))
    assert waiting.due_s() == 0.25
    waiting.note(1, 0.4)  # a sample takes so long: it must begin before
    assert math.isclose(waiting.due_s(), 0.1)
    patient = line(8, delay_ms=100)
    patient.add(job(1, at_s=10.0))
    assert patient.due_s() == 0.1


_STEPS = st.one_of(
    st.tuples(st.just("add"), st.floats(0, 4), st.integers(1, 3)),
    st.tuples(st.just("take"), st.just(0.0), st.just(0)),
    st.tuples(st.just("remove"), st.just(0.0), st.integers(0, 5)),
    st.tuples(st.just("expired"), st.just(0.0), st.just(0)),
)


@given(st.lists(_STEPS, max_size=30))
def test_when_a_line_is_due_depends_on_those_that_are_in_it_alone(steps: list[tuple[str, float, int]]) -> None:
    waiting = line(8, delay_ms=500)
    waiting.note(1, 0.05)
    inside: list[Numbered] = []
    for now, (what, lasts_s, number) in enumerate(steps):
        gone: list[Numbered] = []
        match what:
            case "add":
                inside.append(job(now, since_s=float(now), at_s=now + lasts_s, samples=number))
                waiting.add(inside[-1])
            case "take" if inside:
                gone = waiting.take(float(now))
            case "remove" if number < len(inside):
                gone = [inside[number]]
                assert waiting.remove(inside[number])
            case "expired":
                gone = waiting.expired(float(now))
        inside = [each for each in inside if each not in gone]
        samples = sum(each.samples for each in inside)
        if inside and samples < 8:
            patient_s = min(min(each.since_s + 0.5, (each.since_s + each.deadline.at_s) / 2) for each in inside)
            ready_s = min(each.deadline.at_s for each in inside) - samples * 0.05
            assert math.isclose(waiting.due_s(), min(patient_s, ready_s))
