"""Cost tables as JSON has them: random ones, small enough to list every placement of, and large ones."""

import random
from itertools import combinations
from typing import Any

from hypothesis import strategies as st

from tests.plan.reference import TIERS, Json

# A coarse grid with zeros makes ties common; the floats make everything else.
AMOUNT = st.one_of(st.integers(0, 12).map(lambda n: n / 4), st.floats(1e-9, 50))
NBYTES = st.one_of(st.just(0), st.integers(1, 64).map(lambda n: n * 1024), st.floats(1, 1e5))
SHARE = st.one_of(st.sampled_from((0.0, 0.25, 0.5, 1.0)), st.floats(0, 1))
LINK = st.fixed_dictionaries(
    {
        "bandwidth_bps": st.sampled_from((1e4, 1e6, 2e7, 1e9, 1e15)),
        "rtt_ms": st.one_of(st.just(0), AMOUNT),
    },
    optional={
        "energy_mj_per_byte": st.sampled_from((0, 1e-5, 1e-3, 0.1)),
        "message_bytes": st.sampled_from((0, 480, 1e5)),
    },
)
MEMORY = st.sampled_from((0, 1, 2, 3, 2**30, 2**30 + 1, 1e12))
PER_TIER = st.lists(AMOUNT, min_size=3, max_size=3)
# Which tiers can run something: most often all.
ABLE = st.sampled_from([(True, True, True)] * 6 + [(False, True, True), (True, False, True), (True, True, False)])


@st.composite
def costs(draw: st.DrawFn) -> Json:
    """`cost_ms` and `energy_mj` of a node or a head."""
    able = draw(ABLE)
    keys = ("cost_ms", "energy_mj")
    return {key: [one if can else None for one, can in zip(draw(PER_TIER), able, strict=True)] for key in keys}


@st.composite
def codecs(draw: st.DrawFn) -> list[Json] | None:
    names: list[str] | None = draw(
        st.one_of(st.none(), st.lists(st.sampled_from(("none", "f16", "u8")), unique=True, max_size=2))
    )
    if names is None:
        return None
    return [
        {
            "codec": name,
            "bytes": draw(NBYTES),
            **{f"{what}_{unit}": draw(PER_TIER) for what in ("encode", "decode") for unit in ("ms", "mj")},
        }
        for name in names
    ]


@st.composite
def tensors(draw: st.DrawFn, names: list[str], *, coded: bool) -> list[Json]:
    """Tensors between nodes in the order of `names`: inputs, several consumers, answers in between, loose ones."""
    made: list[Json] = []
    for position in range(-2, len(names)):
        after = names[max(position, -1) + 1 :]
        for _ in range(draw(st.sampled_from((0, 1, 1, 1, 2)))):
            chosen = draw(st.lists(st.sampled_from(after), unique=True, max_size=3)) if after else []
            producer = None if position < 0 else names[position]
            one = {"id": f"t{len(made)}", "producer": producer, "consumers": chosen, "bytes": draw(NBYTES)}
            made.append(one | {"codecs": draw(codecs())} if coded else one)
    return made


@st.composite
def attached(draw: st.DrawFn, ids: list[str], *, most: int) -> Json:
    """Exits that read some tensors, and the share of samples past each one and each pair."""
    names = [f"x{index}" for index in range(draw(st.integers(0, most)))] if ids else []
    exits = [
        {
            "id": name,
            "reads": draw(st.lists(st.sampled_from(ids), unique=True, min_size=1, max_size=2)),
            "memory_bytes": draw(st.sampled_from((0, 0, 1))),
            **draw(costs()),
        }
        for name in names
    ]
    shares = {name: draw(SHARE) for name in names}
    survival: list[Json] = [{"exits": [name], "share": value} for name, value in shares.items()]
    for a, b in combinations(names, 2):
        survival.append({"exits": [b, a], "share": draw(SHARE) * min(shares[a], shares[b])})
    return {"exits": exits, "survival": survival, "device_must_exit": draw(st.sampled_from((False, False, True)))}


@st.composite
def tables(
    draw: st.DrawFn, *, objectives: tuple[str, ...], most_nodes: int = 5, capped: bool = False, plain: bool = False
) -> Json:
    """A table; `plain`: without codecs, exits and tiers that cannot run a node."""
    names = [f"n{index}" for index in range(draw(st.integers(1, most_nodes)))]
    alike = st.builds(lambda ms, mj: {"cost_ms": ms, "energy_mj": mj}, PER_TIER, PER_TIER)
    nodes = [{"id": name, "memory_bytes": draw(MEMORY), **draw(alike if plain else costs())} for name in names]
    between = draw(tensors(names, coded=not plain))
    ids: list[str] = [tensor["id"] for tensor in between]
    table: Json = {
        "tiers": TIERS,
        "nodes": draw(st.permutations(nodes)),
        "tensors": draw(st.permutations(between)),
        "links": [draw(LINK), draw(LINK)],
        "objective": draw(st.sampled_from(objectives)),
    }
    if not plain:
        table |= draw(attached(ids, most=2))
    if draw(st.booleans()) and ids:
        table["keep_on_device"] = draw(st.lists(st.sampled_from(ids), unique=True, max_size=2))
    if capped:
        # Sums of some nodes, give or take a byte: caps that just hold, and caps that just do not.
        held = {node["id"]: node["memory_bytes"] for node in nodes}
        sums = st.lists(st.sampled_from(names), unique=True).map(lambda some: sum(held[name] for name in some))
        caps = st.builds(lambda total, more: max(0, total + more), sums, st.integers(-1, 1))
        table["memory_bytes"] = [draw(st.none() | caps) for _ in TIERS]
    return table


@st.composite
def orders(draw: st.DrawFn, table: Json) -> list[str]:
    """A topological order of the nodes."""
    feeds = {node["id"]: set[str]() for node in table["nodes"]}
    for tensor in table["tensors"]:
        for name in tensor["consumers"]:
            feeds[name] |= {tensor["producer"]} - {None}
    order: list[str] = []
    while len(order) < len(feeds):
        ready = sorted(name for name in feeds if name not in order and feeds[name] <= set(order))
        order.append(draw(st.sampled_from(ready)))
    return order


def large_table(seed: int, count: int, *, reach: int, objective: str = "latency", **more: Any) -> Json:
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
    return {"tiers": TIERS, "nodes": nodes, "tensors": between, "links": links, "objective": objective} | more


def coded_table(seed: int, count: int, *, reach: int, objective: str = "latency") -> Json:
    """A large table with quantisers that take time, and two exits."""
    rng = random.Random(seed)  # noqa: S311  (reproducible, not secret)
    table = large_table(seed, count, reach=reach, objective=objective)
    for tensor in table["tensors"]:
        nbytes = tensor["bytes"]
        tensor["codecs"] = [{"codec": "none", "bytes": nbytes}]
        for codec, ratio in (("f16", 2), ("u8", 4), ("u4", 8)):
            ms = nbytes * 2e-6 * rng.uniform(0.5, 2)
            spent = {
                f"{what}_{unit}": [ms, ms / 4, ms / 40] for what in ("encode", "decode") for unit in ("ms", "mj")
            }
            tensor["codecs"].append({"codec": codec, "bytes": nbytes / ratio, **spent})
    reads = [f"t{count // 4}", f"t{count // 2}"]
    table["exits"] = [
        {"id": f"x{read}", "reads": [read], "cost_ms": [0.5, 0.1, 0.01], "energy_mj": [0.5, 0.1, 0.01]}
        for read in reads
    ]
    names = [entry["id"] for entry in table["exits"]]
    table["survival"] = [
        {"exits": [names[0]], "share": 0.6},
        {"exits": [names[1]], "share": 0.4},
        {"exits": names, "share": 0.3},
    ]
    return table
