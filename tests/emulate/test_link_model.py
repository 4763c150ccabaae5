from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.emulate import LinkShape
from splitnet.emulate.link_model import Arrival, End, LinkModel

FAR_S = 1e9
SHAPE = LinkShape(bandwidth_bps=8e6, delay_s=0.01)  # a megabyte a second, pieces of 3000 bytes


@dataclass(frozen=True)
class Offer:
    at_s: float
    flow: str
    size: int


@st.composite
def offers(draw: st.DrawFn) -> list[Offer]:
    at_s, found = 0.0, []
    for gap_ms, flow, size in draw(
        st.lists(st.tuples(st.integers(0, 20), st.sampled_from("abc"), st.integers(1, 20_000)), max_size=12)
    ):
        at_s += gap_ms / 1000
        found.append(Offer(at_s, flow, size))
    return found


shapes = st.one_of(
    st.just(SHAPE),
    st.just(LinkShape(delay_s=0.01, jitter_s=0.004)),
    st.builds(LinkShape, st.floats(1e5, 1e8), st.floats(0.01, 0.1), st.floats(0, 0.01)),
)


def payload(offer: Offer, number: int) -> bytes:
    return bytes((number + i) % 251 for i in range(offer.size))


def run(model: LinkModel[str], todo: list[Offer], looks: list[float] | None = None) -> list[Arrival[str]]:
    """Offer everything, looking at the model in between only at the times given."""
    arrived = []
    looks = sorted(looks or [])
    for number, offer in enumerate(todo):
        while looks and looks[0] <= offer.at_s:
            arrived += model.collect(looks.pop(0))
        model.offer(offer.at_s, offer.flow, payload(offer, number))
    for look in looks:
        arrived += model.collect(look)
    return arrived + model.collect(FAR_S)


def times(arrived: list[Arrival[str]]) -> list[tuple[str, int, float]]:
    return [(each.flow, len(each.data), round(each.at_s, 9)) for each in arrived]


def test_an_idle_link_takes_serialisation_plus_delay() -> None:
    model = LinkModel[str](SHAPE)
    model.offer(5.0, "a", bytes(1_000_000))
    arrived = model.collect(FAR_S)
    assert arrived[0].at_s == pytest.approx(5.0 + 0.003 + 0.01)
    assert arrived[-1].at_s == pytest.approx(5.0 + SHAPE.transfer_s(1_000_000))


@given(offers(), shapes)
def test_bytes_of_each_flow_arrive_whole_and_in_order(todo: list[Offer], shape: LinkShape) -> None:
    arrived = run(LinkModel[str](shape), todo)
    for flow in "abc":
        sent = b"".join(payload(each, n) for n, each in enumerate(todo) if each.flow == flow)
        assert b"".join(each.data for each in arrived if each.flow == flow) == sent
    assert [each.at_s for each in arrived] == sorted(each.at_s for each in arrived)


@given(offers(), shapes, st.lists(st.floats(0, 1), max_size=20))
def test_when_it_is_looked_at_changes_nothing(todo: list[Offer], shape: LinkShape, looks: list[float]) -> None:
    assert times(run(LinkModel[str](shape, 7), todo, looks)) == times(run(LinkModel[str](shape, 7), todo))


@given(offers())
def test_no_byte_is_early_and_the_link_never_idles_before_work(todo: list[Offer]) -> None:
    arrived = run(LinkModel[str](SHAPE), todo)
    free_s = 0.0
    for each in todo:  # one server, work conserving: whatever the order, the last byte leaves at this time
        free_s = max(free_s, each.at_s) + SHAPE.serialization_s(each.size)
    if todo:
        assert arrived[-1].at_s == pytest.approx(free_s + SHAPE.delay_s)
    crossed = 0
    for piece in arrived:
        crossed += len(piece.data)
        offered = (at for at in (each.at_s for each in todo))
        assert piece.at_s >= min(offered) + SHAPE.transfer_s(crossed) - 1e-9


def test_flows_that_wait_take_turns() -> None:
    model = LinkModel[str](SHAPE)
    model.offer(0.0, "a", bytes(300_000))
    model.offer(0.1, "b", bytes(100_000))
    crossed = {"a": 0, "b": 0}
    arrived = model.collect(FAR_S)
    first_b = next(number for number, piece in enumerate(arrived) if piece.flow == "b")
    assert arrived[first_b].at_s <= 0.1 + 0.01 + 2 * 0.003 + 1e-9, "b waits for the piece under way alone"
    for piece in arrived[first_b : first_b + 67]:
        crossed[piece.flow] += len(piece.data)
        assert crossed["b"] - 3000 <= crossed["a"] <= crossed["b"]
    assert crossed == {"a": 33 * 3000, "b": 100_000}


def test_the_next_event_is_never_after_the_next_arrival() -> None:
    shape = LinkShape(bandwidth_bps=8e6, delay_s=0.01, jitter_s=0.01)
    model = LinkModel[str](shape, 3)
    idle_s = model.next_event_s
    assert idle_s is None
    model.offer(0.0, "a", bytes(50_000))
    looked = 0
    while (event_s := model.next_event_s) is not None:
        assert not model.collect(event_s - 1e-6)
        looked += 1
        arrived = model.collect(event_s)
        assert all(each.at_s == pytest.approx(event_s) for each in arrived)
    assert looked <= 2 * (50_000 // shape.chunk_bytes + 1), "few looks that find nothing"


@given(st.integers(0, 2**32), st.integers(1, 200))
def test_jitter_is_bounded_repeatable_and_keeps_order(seed: int, count: int) -> None:
    shape = LinkShape(delay_s=0.01, jitter_s=0.004)
    todo = [Offer(i * 0.001, "a", 1) for i in range(count)]
    at = [each.at_s for each in run(LinkModel[str](shape, seed), todo)]
    assert at == [each.at_s for each in run(LinkModel[str](shape, seed), todo)]
    assert at == sorted(at)
    for offer, at_s in zip(todo, at, strict=True):
        assert offer.at_s + 0.006 <= at_s <= offer.at_s + 0.014


def test_jitter_spreads_over_its_range_and_differs_by_seed() -> None:
    shape = LinkShape(delay_s=0.01, jitter_s=0.004)
    todo = [Offer(float(i), "a", 1) for i in range(500)]  # a second apart: order never interferes
    delays = [a.at_s - o.at_s for a, o in zip(run(LinkModel[str](shape, 1), todo), todo, strict=True)]
    assert min(delays) < 0.0065
    assert max(delays) > 0.0135
    assert sum(delays) / 500 == pytest.approx(0.01, abs=0.0005)
    assert times(run(LinkModel[str](shape, 1), todo)) != times(run(LinkModel[str](shape, 2), todo))


def test_the_end_comes_with_the_last_byte_or_alone() -> None:
    model = LinkModel[str](SHAPE)
    model.offer(0.0, "a", bytes(7000))
    model.finish(0.0, "a", End.FINISHED)
    model.finish(0.0, "b", End.FINISHED)
    arrived = model.collect(FAR_S)
    assert [(e.flow, len(e.data), e.end) for e in arrived] == [
        ("a", 3000, None),
        ("b", 0, End.FINISHED),
        ("a", 3000, None),
        ("a", 1000, End.FINISHED),
    ]


def test_a_reset_overtakes_what_waits_but_not_what_has_started() -> None:
    model = LinkModel[str](SHAPE)
    model.offer(0.0, "a", bytes(100_000))
    model.finish(0.005, "a", End.FINISHED)
    model.finish(0.005, "a", End.RESET)
    arrived = model.collect(FAR_S)
    assert [(len(e.data), e.end) for e in arrived] == [(3000, None), (3000, None), (0, End.RESET)]
    assert arrived[-1].at_s == pytest.approx(0.006 + 0.01)


def test_what_is_forgotten_leaves_the_link_to_others() -> None:
    model = LinkModel[str](SHAPE)
    model.offer(0.0, "a", bytes(100_000))
    model.offer(0.0, "b", bytes(1000))
    model.forget(0.001, "a")
    arrived = model.collect(FAR_S)
    assert times(arrived) == [("a", 3000, 0.013), ("b", 1000, 0.014)]
    assert model.next_event_s is None


def test_a_new_shape_counts_from_the_next_piece_and_keeps_order() -> None:
    model = LinkModel[str](LinkShape(bandwidth_bps=8e6, delay_s=0.1))
    model.offer(0.0, "a", bytes(6000))
    model.reshape(0.001, LinkShape(bandwidth_bps=16e6, delay_s=0.0))
    arrived = times(model.collect(0.5))
    assert arrived == [("a", 3000, 0.103), ("a", 3000, 0.103)]
    model.offer(1.0, "a", bytes(6000))
    assert times(model.collect(FAR_S))[-1] == ("a", 6000, 1.003)
