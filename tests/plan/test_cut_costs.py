"""The costs of cuts that pictures show are those of the placements that they stand for."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from splitnet.plan import CutCost, cut_costs, evaluate, from_json
from tests.plan.tables import large_table, orders, tables

close = pytest.approx


def _check(table: dict[str, Any], order: list[str], cut: CutCost) -> None:
    """Hold one cut against the placement with the same nodes, ways and tiers."""
    problem = from_json(table)
    above = cut.tiers[1]
    tier_of = {name: "device" if at < cut.position else above for at, name in enumerate(order)}
    ways = {tensor.id: [way.codec for way in tensor.ways] for tensor in problem.tensors}
    sent = {name: cut.way if cut.way in ways[name] else "none" for name in cut.tensors}
    placement = evaluate(problem, tier_of, codecs=(sent,) if above == "edge" else (sent, sent))
    assert cut.latency_ms == close(placement.latency_ms)
    assert cut.bytes == close(placement.bytes)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_each_is_the_placement_it_stands_for(data: st.DataObject) -> None:
    table = data.draw(tables(objectives=("latency",)))
    # A cut is drawn without exits, and whether a tier can run its nodes or not.
    table |= {"exits": [], "survival": [], "device_must_exit": False, "keep_on_device": []}
    for node in table["nodes"]:
        node["cost_ms"] = [0.5 if ms is None else ms for ms in node["cost_ms"]]
    order = data.draw(orders(table))
    cuts = [cut for cut in cut_costs(from_json(table), order) if cut.position]
    assume(cuts)
    _check(table, order, data.draw(st.sampled_from(cuts)))


def test_every_cut_of_a_chain_is_there_with_every_way() -> None:
    table = large_table(0, 20, reach=1)
    order = [f"n{index}" for index in range(20)]
    cuts = cut_costs(from_json(table), order)
    assert [cut.position for cut in cuts] == list(range(20))
    for cut in cuts[1:]:
        _check(table, order, cut)
