"""Cost tables as JSON has them: random ones, large ones, and every placement of a small one with its price."""

import random
from collections.abc import Iterator
from itertools import product
from typing import Any

from hypothesis import strategies as st

TIERS = ["device", "edge", "cloud"]
Json = dict[str, Any]

# A coarse grid with zeros makes ties common; the floats make everything else.
AMOUNT = st.one_of(st.integers(0, 12).map(lambda n: n / 4), st.floats(1e-9, 50))
NBYTES = st.one_of(st.just(0), st.integers(1, 64).map(lambda n: n * 1024), st.floats(1, 1e5))
LINK = st.fixed_dictionaries(
    {
        "bandwidth_bps": st.sampled_from((1e4, 1e6, 2e7, 1e9, 1e15)),
        "rtt_ms": st.one_of(st.just(0), AMOUNT),
    },
    optional={"energy_mj_per_byte": st.sampled_from((0, 1e-5, 1e-3, 0.1))},
)


@st.composite
def tensors(draw: st.DrawFn, names: list[str]) -> list[Json]:
    """Tensors between nodes in the order of `names`: inputs, several consumers, answers in between, loose ones."""
    made: list[Json] = []
    for position in range(-2, len(names)):
        after = names[max(position, -1) + 1 :]
        for _ in range(draw(st.sampled_from((0, 1, 1, 1, 2)))):
            chosen = draw(st.lists(st.sampled_from(after), unique=True, max_size=3)) if after else []
            producer = None if position < 0 else names[position]
            made.append({"id": f"t{len(made)}", "producer": producer, "consumers": chosen, "bytes": draw(NBYTES)})
    return made


@st.composite
def tables(draw: st.DrawFn, *, objectives: tuple[str, ...], most_nodes: int = 7, capped: bool = False) -> Json:
    names = [f"n{index}" for index in range(draw(st.integers(1, most_nodes)))]
    memory = st.sampled_from((0, 1, 2, 3, 2**30, 2**30 + 1, 1e12))
    nodes: list[Json] = [
        {
            "id": name,
            "cost_ms": [draw(AMOUNT) for _ in TIERS],
            "energy_mj": [draw(AMOUNT) for _ in TIERS],
            "memory_bytes": draw(memory),
        }
        for name in names
    ]
    between = draw(tensors(names))
    table: Json = {
        "tiers": TIERS,
        "nodes": draw(st.permutations(nodes)),
        "tensors": draw(st.permutations(between)),
        "links": [draw(LINK), draw(LINK)],
        "objective": draw(st.sampled_from(objectives)),
    }
    ids: list[str] = [tensor["id"] for tensor in between]
    if draw(st.booleans()) and ids:
        table["keep_on_device"] = draw(st.lists(st.sampled_from(ids), unique=True, max_size=2))
    if capped:
        # Sums of some nodes, give or take a byte: caps that just hold, and caps that just do not.
        held = {node["id"]: node["memory_bytes"] for node in nodes}
        sums = st.lists(st.sampled_from(names), unique=True).map(lambda some: sum(held[name] for name in some))
        caps = st.builds(lambda total, more: max(0, total + more), sums, st.integers(-1, 1))
        table["memory_bytes"] = [draw(st.none() | caps) for _ in TIERS]
    return table


def price(table: Json, tier: dict[str, int]) -> float | None:
    """What a placement costs, by the words of docs/plan.md; None if it is not allowed."""
    sent = [0.0, 0.0]
    used = [False, False]
    for tensor in table["tensors"]:
        start = 0 if tensor["producer"] is None else tier[tensor["producer"]]
        ends = [tier[name] for name in tensor["consumers"]]
        if any(end < start for end in ends):
            return None
        end = max(ends) if ends else 0
        for link in range(min(start, end), max(start, end)):
            sent[link] += tensor["bytes"]
            used[link] = True
        if tensor["id"] in table.get("keep_on_device", []) and (start > 0 or end > 0):
            return None
    for level, cap in enumerate(table.get("memory_bytes", [None] * 3)):
        held = sum(node.get("memory_bytes", 0) for node in table["nodes"] if tier[node["id"]] == level)
        if cap is not None and held > cap:
            return None
    return combined(table, tier, sent, used)


def combined(table: Json, tier: dict[str, int], sent: list[float], used: list[bool]) -> float:
    links = table["links"]
    ms = [0.0, 0.0, 0.0]
    for node in table["nodes"]:
        ms[tier[node["id"]]] += node["cost_ms"][tier[node["id"]]]
    transfer = [8 * nbytes / link["bandwidth_bps"] * 1000 for nbytes, link in zip(sent, links, strict=True)]
    energy = [node.get("energy_mj", [0, 0, 0])[tier[node["id"]]] for node in table["nodes"]]
    energy += [nbytes * link.get("energy_mj_per_byte", 0) for nbytes, link in zip(sent, links, strict=True)]
    rtts = [link["rtt_ms"] for link, crossed in zip(links, used, strict=True) if crossed]
    values = {
        "latency": sum(ms) + sum(transfer) + sum(rtts),
        "energy": sum(energy),
        "bytes": sum(sent),
        "throughput": max(*ms, *transfer),
    }
    return float(values[table["objective"]])


def every_price(table: Json) -> Iterator[tuple[dict[str, int], float | None]]:
    names = [node["id"] for node in table["nodes"]]
    for levels in product(range(3), repeat=len(names)):
        tier = dict(zip(names, levels, strict=True))
        yield tier, price(table, tier)


def large_table(seed: int, count: int, *, reach: int, objective: str = "latency") -> Json:
    """A random graph of `count` nodes in which a true split often pays: tensors shrink along it.

    With `reach` 1 it is a chain; otherwise a tensor is read by up to three of the next `reach` nodes.
    """
    rng = random.Random(seed)  # noqa: S311  (reproducible, not secret)
    nodes: list[Json] = []
    between: list[Json] = [{"id": "in", "producer": None, "consumers": ["n0"], "bytes": 600_000}]
    for index in range(count):
        ms = rng.uniform(20, 200) / count
        share = index / count
        nodes.append(
            {
                "id": f"n{index}",
                "cost_ms": [ms, ms / 4, ms / 40],
                "energy_mj": [ms, ms * rng.uniform(0.2, 2), ms / 5],
                "memory_bytes": rng.randint(1, 1000),
            }
        )
        last = min(count - 1, index + reach)
        readers = {rng.randint(index + 1, last) for _ in range(rng.randint(1, 3))} if index < last else set()
        nbytes = rng.uniform(0.2, 1) * (600_000 * (1 - share) ** 3 + 1000)
        consumers = [f"n{reader}" for reader in sorted(readers)]
        between.append({"id": f"t{index}", "producer": f"n{index}", "consumers": consumers, "bytes": nbytes})
    links = [
        {"bandwidth_bps": 2e8 * rng.uniform(0.2, 3), "rtt_ms": 2.0, "energy_mj_per_byte": 2e-5},
        {"bandwidth_bps": 1e8 * rng.uniform(0.2, 3), "rtt_ms": 4.0, "energy_mj_per_byte": 1e-5},
    ]
    return {"tiers": TIERS, "nodes": nodes, "tensors": between, "links": links, "objective": objective}
