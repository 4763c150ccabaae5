"""What must hold of any placement: it is allowed, and costs what the reference says."""

import pytest

from splitnet.plan import Placement
from tests.plan.reference import TIERS, Json, Priced, ways


def close(value: float, *, rel: float = 1e-9) -> object:
    return pytest.approx(value, rel=rel, abs=1e-9)


def priced(table: Json, placement: Placement) -> Priced:
    """The placement by the book."""
    return Priced(table, {name: TIERS.index(tier) for name, tier in placement.tier_of.items()}, placement.exits)


def check(table: Json, placement: Placement) -> None:
    """`placement` is allowed, and every number in it is what the reference has for it."""
    own = priced(table, placement)
    assert own.value is not None
    assert placement.value == close(own.value)
    assert placement.last == own.last
    sent = _sent(table, own, placement)
    is_relay = own.last == 2 and not own.computed(1) and own.exits[1] is None and sent[0] == sent[1]
    sending = (is_relay, sent)
    assert own.combined(sending) == close(own.value)
    tiers, links, once = own.stages("ms", sending)
    assert placement.latency_ms == close(sum((*tiers, *links, *once)))
    assert placement.latency_ms == sum(ms for _, ms in placement.stages)
    shares = own.reach()
    message = [link.get("message_bytes", 0) for link in table["links"]]
    up = [shares[n + 1] * (sum(way["bytes"] for way in some) + message[n]) for n, some in enumerate(sent)]
    assert placement.bytes == close_all(up)
    if placement.energy_mj is not None:
        tiers, links, _ = own.stages("mj", sending)
        assert placement.energy_mj == close(sum((*tiers, *links)))


def close_all(values: list[float]) -> object:
    return pytest.approx(tuple(values), rel=1e-9, abs=1e-9)


def _sent(table: Json, own: Priced, placement: Placement) -> list[list[Json]]:
    """The ways of `placement`, which name exactly what crosses."""
    sent = []
    for link, codecs in enumerate(placement.codecs):
        crossing = {tensor["id"]: tensor for tensor in own.crossing(link)}
        assert codecs.keys() == crossing.keys()
        named = [
            [way for way in ways(table, crossing[name]) if way["codec"] == codec] for name, codec in codecs.items()
        ]
        assert all(len(some) == 1 for some in named)
        sent.append([some[0] for some in named])
    return sent
