"""What a table of costs must be: every mistake is refused, and the message says where it is."""

import copy
import math
import re
from typing import Any

import numpy as np
import pytest

from splitnet.errors import InvalidArgumentError
from splitnet.plan.solve_table import solve_table
from splitnet.plan.table import from_json
from splitnet.plan.terms import evaluate, terms_of
from tests.plan.tables import TIERS, Json

GOOD: Json = {
    "tiers": TIERS,
    "nodes": [
        {"id": "a", "cost_ms": [9, 3, 0.5], "memory_bytes": 4, "energy_mj": [1, 2, 3]},
        {"id": "b", "cost_ms": [90, 30, 5.5], "energy_mj": [10, 20, 30]},
        {"id": "c", "cost_ms": [1, 1, 1], "energy_mj": [1, 1, 1]},
    ],
    "tensors": [
        {"id": "x", "producer": None, "consumers": ["a"], "bytes": 150000},
        {"id": "y", "producer": "a", "consumers": ["b", "c"], "bytes": 5000},
        {"id": "z", "producer": "b", "consumers": [], "bytes": 10},
    ],
    "links": [{"bandwidth_bps": 2e7, "rtt_ms": 10.0}, {"bandwidth_bps": 1e8, "rtt_ms": 40.0}],
    "objective": "latency",
    "memory_bytes": [None, None, None],
    "keep_on_device": [],
}

REMOVED = object()


def changed(path: tuple[str | int, ...], value: object) -> Json:
    table = copy.deepcopy(GOOD)
    inner: Any = table
    for key in path[:-1]:
        inner = inner[key]
    if value is REMOVED:
        del inner[path[-1]]
    elif isinstance(inner, list) and path[-1] == len(inner):
        inner.append(value)
    else:
        inner[path[-1]] = value
    return table


def written(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")


NUMBERS: list[tuple[str | int, ...]] = [
    ("nodes", 1, "cost_ms", 1),
    ("nodes", 0, "memory_bytes"),
    ("nodes", 2, "energy_mj", 2),
    ("tensors", 1, "bytes"),
    ("links", 0, "bandwidth_bps"),
    ("links", 1, "rtt_ms"),
    ("links", 1, "energy_mj_per_byte"),
    ("memory_bytes", 1),
]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1, -1e-300, True, False, "3", [3], 10**400])
@pytest.mark.parametrize("path", NUMBERS, ids=written)
def test_numbers_are_refused_by_path(path: tuple[str | int, ...], value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="^" + re.escape(written(path)) + r"(\[\d\])?: "):
        from_json(changed(path, value))


@pytest.mark.parametrize("path", [path for path in NUMBERS if path != ("memory_bytes", 1)], ids=written)
def test_null_is_a_number_only_where_it_means_none(path: tuple[str | int, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="^" + re.escape(written(path))):
        from_json(changed(path, None))


@pytest.mark.parametrize(
    "path",
    [
        *((key,) for key in ("tiers", "nodes", "tensors", "links", "objective")),
        *(("nodes", 1, key) for key in ("id", "cost_ms")),
        *(("tensors", 1, key) for key in ("id", "producer", "consumers", "bytes")),
        *(("links", 1, key) for key in ("bandwidth_bps", "rtt_ms")),
    ],
    ids=written,
)
def test_what_is_missing_is_named(path: tuple[str | int, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="^" + re.escape(written(path)) + ": missing$"):
        from_json(changed(path, REMOVED))


@pytest.mark.parametrize("path", [(), ("nodes", 1), ("tensors", 2), ("links", 0)], ids=written)
def test_unknown_keys_are_named(path: tuple[str | int, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="^" + re.escape(written((*path, "colour"))) + ": unknown key$"):
        from_json(changed((*path, "colour"), "red"))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("tiers",), ["device", "edge"], "tiers[2]: missing"),
        (("tiers",), ["edge", "device", "cloud"], "tiers[0]: "),
        (("tiers",), ["device", "edge", "cloud", "moon"], "tiers: "),
        (("objective",), "beauty", "objective: "),
        (("nodes",), [], "nodes: expected at least one"),
        (("nodes",), {"a": 1}, "nodes: "),
        (("nodes", 1), 7, "nodes[1]: "),
        (("nodes", 1, "id"), "a", "nodes[1].id: 'a' occurs twice"),
        (("nodes", 1, "id"), "", "nodes[1].id: "),
        (("nodes", 1, "id"), 7, "nodes[1].id: "),
        (("nodes", 1, "id"), "\ud800", "nodes[1].id: "),
        (("nodes", 1, "cost_ms"), [1, 2], "nodes[1].cost_ms[2]: missing"),
        (("nodes", 1, "cost_ms"), [1, 2, 3, 4], "nodes[1].cost_ms: "),
        (("nodes", 1, "energy_mj"), [1], "nodes[1].energy_mj[1]: missing"),
        (("tensors", 2, "id"), "x", "tensors[2].id: 'x' occurs twice"),
        (("tensors", 2, "producer"), "q", "tensors[2].producer: there is no node 'q'"),
        (("tensors", 1, "consumers"), "bc", "tensors[1].consumers: "),
        (("tensors", 1, "consumers"), ["b", "q"], "tensors[1].consumers[1]: there is no node 'q'"),
        (("tensors", 1, "consumers"), ["b", "b"], "tensors[1].consumers[1]: 'b' occurs twice"),
        (("tensors", 2, "consumers"), ["a"], "tensors: the nodes "),
        (("tensors", 2, "consumers"), ["b"], "tensors: the nodes b -> b form a cycle"),
        (("links",), [GOOD["links"][0]], "links[1]: missing"),
        (("links",), [GOOD["links"][0]] * 3, "links: "),
        (("links", 0, "bandwidth_bps"), 0, "links[0].bandwidth_bps: "),
        (("memory_bytes",), [1, 2], "memory_bytes[2]: missing"),
        (("memory_bytes",), 7, "memory_bytes: "),
        (("keep_on_device",), ["q"], "keep_on_device[0]: there is no tensor 'q'"),
        (("keep_on_device",), ["a"], "keep_on_device[0]: there is no tensor 'a'"),
        (("keep_on_device",), ["x", "x"], "keep_on_device[1]: 'x' occurs twice"),
        (("keep_on_device",), "x", "keep_on_device: "),
    ],
)
def test_malformed_tables_are_refused(path: tuple[str | int, ...], value: object, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match="^" + re.escape(said)):
        from_json(changed(path, value))


def test_energy_needs_every_energy() -> None:
    table = changed(("nodes", 2, "energy_mj"), REMOVED)
    assert from_json(table).nodes[2].energy_mj is None
    with pytest.raises(
        InvalidArgumentError, match=r"^nodes\[2\]\.energy_mj: missing; the objective energy needs it"
    ):
        from_json(table | {"objective": "energy"})


@pytest.mark.parametrize("value", [[], 3, None, "table"])
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^the whole: "):
        from_json(value)


def test_of_many_mistakes_a_few_are_told() -> None:
    with pytest.raises(InvalidArgumentError, match=r"; and 4 more$"):
        from_json(GOOD | {"nodes": [{"id": str(index), "cost_ms": [1, -1, 1]} for index in range(9)]})


def test_a_long_cycle_is_shortened() -> None:
    nodes = [{"id": f"n{index}", "cost_ms": [1, 1, 1]} for index in range(5000)]
    ring = [
        {"id": f"t{index}", "producer": f"n{index}", "consumers": [f"n{(index + 1) % 5000}"], "bytes": 1}
        for index in range(5000)
    ]
    with pytest.raises(InvalidArgumentError, match=r"form a cycle of 5000$") as raised:
        from_json(GOOD | {"nodes": nodes, "tensors": ring})
    assert len(str(raised.value)) < 120


@pytest.mark.parametrize(
    ("path", "value"),
    [(("links", 0, "bandwidth_bps"), 5e-324), (("nodes", 0, "cost_ms"), [1.7e308, 1.7e308, 1.7e308])],
    ids=["link", "node"],
)
def test_costs_beyond_numbers_are_refused(path: tuple[str | int, ...], value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="too large to be a number"):
        solve_table(from_json(changed(path, value)))


def test_defaults() -> None:
    least = {key: GOOD[key] for key in ("tiers", "nodes", "tensors", "links", "objective")}
    table = from_json(least)
    assert table.memory_bytes == (None, None, None)
    assert table.keep_on_device == ()
    assert table.nodes[1].memory_bytes == 0
    assert table.links[0].energy_mj_per_byte == 0


@pytest.mark.parametrize(
    ("tier_of", "said"),
    [
        ({"a": "device", "b": "edge"}, r"^tier_of\['c'\]: expected one of device, edge, cloud"),
        ({"a": "device", "b": "edge", "c": "moon"}, r"^tier_of\['c'\]: expected one of"),
        ({"a": "device", "b": "edge", "c": "edge", "q": "edge"}, r"^tier_of\['q'\]: there is no such node"),
        ({"a": "edge", "b": "device", "c": "edge"}, r"^tier_of\['b'\]: below 'a', which feeds it"),
    ],
)
def test_evaluate_refuses_what_is_no_placement(tier_of: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        evaluate(from_json(GOOD), tier_of)


def test_what_each_stage_costs() -> None:
    """By hand: a on the device, b in the cloud, c at the edge: y goes up both links once, z comes down both."""
    table = changed(("links", 0, "energy_mj_per_byte"), 0.001)
    placed = {"a": "device", "b": "cloud", "c": "edge"}
    stages = terms_of(from_json(table)).stages(np.array([0, 2, 1], np.intp))
    assert stages.tolist() == pytest.approx([9, 1, 5.5, 2.004, 0.4008])
    expected = {"latency": 67.9048, "throughput": 9.0, "bytes": 10020.0, "energy": 1 + 30 + 1 + 5.01}
    for objective, value in expected.items():
        assert evaluate(from_json(table | {"objective": objective}), placed) == pytest.approx(value)
