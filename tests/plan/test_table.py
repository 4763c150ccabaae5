"""What a table of costs must be: every mistake is refused, and the message says where it is."""

import copy
import math
import re
from typing import Any

import pytest

from splitnet.errors import InvalidArgumentError
from splitnet.plan import evaluate, from_json, solve
from tests.plan.reference import TIERS, Json

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
        {
            "id": "k",
            "producer": "c",
            "consumers": [],
            "bytes": 40,
            "codecs": [{"codec": "u8", "bytes": 10, "encode_ms": [1, 1, 1], "encode_mj": [1, 1, 1]}],
        },
    ],
    "links": [{"bandwidth_bps": 2e7, "rtt_ms": 10.0}, {"bandwidth_bps": 1e8, "rtt_ms": 40.0}],
    "objective": "latency",
    "memory_bytes": [None, None, None],
    "keep_on_device": [],
    "exits": [
        {"id": "first", "reads": ["y"], "cost_ms": [3, 2, 1], "energy_mj": [1, 1, 1], "memory_bytes": 1},
        {"id": "second", "reads": ["k"], "cost_ms": [3, 2, 1], "energy_mj": [1, 1, 1]},
    ],
    "survival": [
        {"exits": ["first"], "share": 0.5},
        {"exits": ["second"], "share": 0.25},
        {"exits": ["first", "second"], "share": 0.2},
    ],
    "device_must_exit": False,
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
    ("tensors", 3, "codecs", 0, "bytes"),
    ("tensors", 3, "codecs", 0, "encode_ms", 1),
    ("links", 0, "message_bytes"),
    ("exits", 0, "cost_ms", 1),
    ("exits", 0, "memory_bytes"),
    ("survival", 1, "share"),
]
# Where null says that a tier cannot do it, or that there is no cap.
NULLS = [("nodes", 1, "cost_ms", 1), ("nodes", 2, "energy_mj", 2), ("exits", 0, "cost_ms", 1), ("memory_bytes", 1)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1, -1e-300, True, False, "3", [3], 10**400])
@pytest.mark.parametrize("path", NUMBERS, ids=written)
def test_numbers_are_refused_by_path(path: tuple[str | int, ...], value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="^" + re.escape(written(path)) + r"(\[\d\])?: "):
        from_json(changed(path, value))


@pytest.mark.parametrize("path", [path for path in NUMBERS if path not in NULLS], ids=written)
def test_null_is_a_number_only_where_it_means_none(path: tuple[str | int, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="^" + re.escape(written(path))):
        from_json(changed(path, None))


@pytest.mark.parametrize("path", NULLS, ids=written)
def test_null_is_taken_where_it_means_something(path: tuple[str | int, ...]) -> None:
    from_json(changed(path, None))


@pytest.mark.parametrize(
    "path",
    [
        *((key,) for key in ("tiers", "nodes", "tensors", "links", "objective")),
        *(("nodes", 1, key) for key in ("id", "cost_ms")),
        *(("tensors", 1, key) for key in ("id", "producer", "consumers", "bytes")),
        *(("links", 1, key) for key in ("bandwidth_bps", "rtt_ms")),
        *(("tensors", 3, "codecs", 0, key) for key in ("codec", "bytes")),
        *(("exits", 1, key) for key in ("id", "reads", "cost_ms")),
        *(("survival", 1, key) for key in ("exits", "share")),
    ],
    ids=written,
)
def test_what_is_missing_is_named(path: tuple[str | int, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="^" + re.escape(written(path)) + ": missing, expected "):
        from_json(changed(path, REMOVED))


@pytest.mark.parametrize(
    "path",
    [(), ("nodes", 1), ("tensors", 2), ("tensors", 3, "codecs", 0), ("links", 0), ("exits", 0), ("survival", 0)],
    ids=written,
)
def test_unknown_keys_are_named(path: tuple[str | int, ...]) -> None:
    with pytest.raises(
        InvalidArgumentError, match="^" + re.escape(written((*path, "colour"))) + ": unknown key, known here are "
    ):
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
        (("nodes", 1, "cost_ms"), [None] * 3, "nodes[1].cost_ms: null on all three tiers"),
        (("tensors", 3, "codecs"), [{"codec": "u8", "bytes": 1}] * 2, "tensors[3].codecs[1].codec: 'u8' occurs"),
        (("tensors", 3, "codecs", 0, "encode_ms"), [1, 2], "tensors[3].codecs[0].encode_ms[2]: missing"),
        (("exits", 1, "id"), "first", "exits[1].id: 'first' occurs twice"),
        (("exits", 1, "reads"), [], "exits[1].reads: expected at least one"),
        (("exits", 1, "reads"), ["q"], "exits[1].reads[0]: there is no tensor 'q'"),
        (("exits", 1, "reads"), ["y", "y"], "exits[1].reads[1]: 'y' occurs twice"),
        (("exits", 1, "cost_ms"), [None] * 3, "exits[1].cost_ms: null on all three tiers"),
        (("survival", 1, "exits"), ["third"], "survival[1].exits[0]: there is no exit 'third'"),
        (("survival", 1, "exits"), [], "survival[1].exits: expected one or two, got 0"),
        (("survival", 1, "exits"), ["first"], "survival[1].exits: ['first'] occurs twice"),
        (("survival", 1, "exits"), ["first", "first"], "survival[1].exits[1]: 'first' occurs twice"),
        (("survival", 1, "share"), 1.5, "survival[1].share: "),
        (("survival", 2, "share"), 0.3, "survival[2].share: expected at most the 0.25 past 'second'; got 0.3"),
        (("survival",), [], "survival: the share of ['first'] is missing"),
        (("survival",), GOOD["survival"][:2], "survival: the share of ['first', 'second'] is missing"),
        (("device_must_exit",), 1, "device_must_exit: "),
    ],
)
def test_malformed_tables_are_refused(path: tuple[str | int, ...], value: object, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match="^" + re.escape(said)):
        from_json(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("nodes", 2, "energy_mj"), REMOVED, "nodes[2].energy_mj: missing; the objective energy needs it"),
        (
            ("nodes", 2, "energy_mj", 1),
            None,
            "nodes[2].energy_mj[1]: null; the objective energy needs it wherever",
        ),
        (("exits", 1, "energy_mj"), REMOVED, "exits[1].energy_mj: missing; the objective energy needs it"),
        (
            ("tensors", 3, "codecs", 0, "encode_mj"),
            REMOVED,
            "tensors[3].codecs[0].encode_mj: missing; the objective",
        ),
    ],
)
def test_energy_needs_every_energy(path: tuple[str | int, ...], value: object, said: str) -> None:
    table = changed(path, value)
    assert solve(from_json(table)).placement.energy_mj is None
    with pytest.raises(InvalidArgumentError, match="^" + re.escape(said)):
        from_json(table | {"objective": "energy"})
    assert solve(from_json(GOOD)).placement.energy_mj is not None


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
        solve(from_json(changed(path, value)))


def test_defaults() -> None:
    least = {key: GOOD[key] for key in ("tiers", "nodes", "tensors", "links", "objective")}
    table = from_json(least)
    assert table.memory_bytes == (None, None, None)
    assert table.keep_on_device == ()
    assert table.nodes[1].memory_bytes == 0
    assert table.links[0].energy_mj_per_byte == 0
    assert table.links[0].message_bytes == 0
    assert table.tensors[1].codecs is None
    assert (table.exits, table.survival, table.device_must_exit) == ((), (), False)


def test_what_each_stage_costs() -> None:
    """By hand: a on the device, b in the cloud, c at the edge: y goes up both links once, z comes down both."""
    table = changed(("links", 0, "energy_mj_per_byte"), 0.001) | {"exits": [], "survival": []}
    table["tensors"] = table["tensors"][:3]
    placed = {"a": "device", "b": "cloud", "c": "edge"}
    stages = {"device": 9, "device-edge": 10 + 2.004, "edge": 1, "edge-cloud": 40 + 0.4008, "cloud": 5.5}
    expected = {"latency": 67.9048, "throughput": 9.0, "bytes": 10020.0, "energy": 1 + 30 + 1 + 5.01}
    for objective, value in expected.items():
        found = evaluate(from_json(table | {"objective": objective}), placed)
        assert found.value == pytest.approx(value)
        assert dict(found.stages) == pytest.approx(stages)
        assert found.bytes == (5000.0, 5000.0)
        assert found.energy_mj == pytest.approx(37.01)
