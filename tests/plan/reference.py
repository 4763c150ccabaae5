"""A second, naive statement of what placements cost: plain Python from the words of docs/plan.md."""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

TIERS = ["device", "edge", "cloud"]
Json = dict[str, Any]
Exits = tuple[str | None, str | None]
Tier = dict[str, int]
#: Whether the edge passes on what it gets, and by link the way of each tensor.
Sending = tuple[bool, list[list[Json]]]


def before(table: Json, name: str) -> set[str]:
    """All nodes that exit `name` depends on."""
    (entry,) = [one for one in table["exits"] if one["id"] == name]
    tensors = {tensor["id"]: tensor for tensor in table["tensors"]}
    found: set[str] = set()
    waiting = [tensors[read]["producer"] for read in entry["reads"]]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found:
            found.add(node)
            waiting += [tensor["producer"] for tensor in table["tensors"] if node in tensor["consumers"]]
    return found


def share(table: Json, names: Sequence[str | None]) -> float:
    wanted = {name for name in names if name is not None}
    if not wanted:
        return 1.0
    (found,) = [entry["share"] for entry in table["survival"] if set(entry["exits"]) == wanted]
    return float(found)


def exit_choices(table: Json) -> list[Exits]:
    names = [entry["id"] for entry in table.get("exits", [])]
    return [
        (a, b)
        for a in (None, *names)
        for b in (None, *names)
        if a is None or b is None or before(table, a) < before(table, b)
    ]


def ways(table: Json, tensor: Json) -> list[Json]:
    if tensor["id"] in table.get("keep_on_device", []):
        return []
    free = [0, 0, 0]
    plain = [{"codec": "none", "bytes": tensor["bytes"]}]
    listed = plain if tensor.get("codecs") is None else tensor["codecs"]
    defaults = {f"{what}_{unit}": free for what in ("encode", "decode") for unit in ("ms", "mj")}
    return [defaults | way for way in listed]


class Priced:
    """A placement, by the book: what it costs with its best codecs; `value` is None if it is not allowed."""

    def __init__(self, table: Json, tier: Tier, exits: Exits) -> None:
        self.table, self.tier, self.exits = table, tier, exits
        self.last = max(tier.values())
        self.value: float | None = None
        if self.is_allowed():
            self.value = min(map(self.combined, self.sendings()), default=None)

    def is_allowed(self) -> bool:
        return self.exits_fit() and self.order_is_kept() and all(map(self.tier_can, range(3)))

    def exits_fit(self) -> bool:
        a, b = self.exits
        must = self.table.get("device_must_exit", False) and self.last > 0 and a is None
        return not must and (a is None or self.last >= 1) and (b is None or self.last == 2)

    def order_is_kept(self) -> bool:
        for tensor in self.table["tensors"]:
            made = 0 if tensor["producer"] is None else self.tier[tensor["producer"]]
            if any(self.tier[name] < made for name in tensor["consumers"]):
                return False
            if tensor["id"] in self.table.get("keep_on_device", []):
                names = [*tensor["consumers"], *([tensor["producer"]] if tensor["producer"] is not None else [])]
                if any(self.tier[name] > 0 for name in names):
                    return False
        return True

    def tier_can(self, level: int) -> bool:
        """Whether a tier can run what it has to, within its cap."""
        there = self.there(level)
        cap = self.table.get("memory_bytes", [None] * 3)[level]
        fits = cap is None or sum(one.get("memory_bytes", 0) for one in there) <= cap
        return fits and all(one["cost_ms"][level] is not None for one in there)

    def there(self, level: int) -> list[Json]:
        """The nodes and the head that a tier runs."""
        nodes = {node["id"]: node for node in self.table["nodes"]}
        heads = {entry["id"]: entry for entry in self.table.get("exits", [])}
        return [nodes[name] for name in self.computed(level)] + [heads[name] for name in self.heads(level)]

    def heads(self, level: int) -> list[str]:
        return [name for name in ([*self.exits, None][level],) if name is not None]

    def computed(self, level: int) -> set[str]:
        """What a tier computes."""
        a, b = self.exits
        first = {name for name, where in self.tier.items() if where == 0}
        second = {name for name, where in self.tier.items() if where <= 1}
        device = first | (before(self.table, a) if a is not None else set())
        edge = (second | (before(self.table, b) if b is not None else set())) - first
        return [device, edge, self.tier.keys() - second][level]

    def crossing(self, link: int) -> list[Json]:
        """What goes up over a link: what is made below and read above it, by a node or by the edge's head."""
        found = []
        for tensor in self.table["tensors"]:
            below = tensor["producer"] is None or self.tier[tensor["producer"]] <= link
            read = any(self.tier[name] > link for name in tensor["consumers"])
            b = self.exits[1]
            if b is not None and link == 0:
                read |= any(tensor["id"] in entry["reads"] for entry in self.table["exits"] if entry["id"] == b)
            if below and read:
                found.append(tensor)
        return found

    def sendings(self) -> Iterator[Sending]:
        """Every choice of a way for every tensor on every link, and the edge that passes on what it gets."""
        crossing = [self.crossing(link) for link in range(self.last)]
        each = [list(product(*(ways(self.table, tensor) for tensor in some))) for some in crossing]
        for chosen in product(*each):
            yield False, [list(some) for some in chosen]
        if self.last == 2 and not self.computed(1) and not self.heads(1):
            for same in each[1]:
                yield True, [list(same), list(same)]

    def combined(self, sending: Sending) -> float:
        """The objective for one choice of ways."""
        objective = self.table["objective"]
        if objective == "bytes":
            return sum(self.nbytes(link, sending[1][link]) for link in range(self.last))
        unit = "mj" if objective == "energy" else "ms"
        tiers, links, once = self.stages(unit, sending)
        if objective == "throughput":
            return max(*tiers, *links, 0.0)
        return math.fsum((*tiers, *links, *(once if objective == "latency" else ())))

    def reach(self) -> tuple[float, float, float]:
        a, _ = self.exits
        return 1.0, share(self.table, (a,)), share(self.table, self.exits)

    def nbytes(self, link: int, sent: list[Json]) -> float:
        """Expected bytes on a link: up, down and headers."""
        back = [
            tensor["bytes"]
            for tensor in self.table["tensors"]
            if not tensor["consumers"] and tensor["producer"] is not None and self.tier[tensor["producer"]] > link
        ]
        total = sum(way["bytes"] for way in sent) + sum(back) + self.table["links"][link].get("message_bytes", 0)
        return float(self.reach()[link + 1] * total)

    def stages(self, unit: str, sending: Sending) -> tuple[list[float], list[float], list[float]]:
        """Expected costs of the tiers, the links, and of the round trips."""
        reach, (is_relay, sent) = self.reach(), sending
        key = "cost_ms" if unit == "ms" else "energy_mj"
        tiers = [reach[level] * math.fsum(one[key][level] for one in self.there(level)) for level in range(3)]
        links, once = [], []
        for link in range(self.last):
            own, left = self.table["links"][link], reach[link + 1]
            rate = own.get("energy_mj_per_byte", 0) if unit == "mj" else 8 / own["bandwidth_bps"] * 1000
            links.append(self.nbytes(link, sent[link]) * rate)
            once.append(left * own["rtt_ms"])
            if not (is_relay and link == 1):
                tiers[link] += left * math.fsum(way[f"encode_{unit}"][link] for way in sent[link])
            if not (is_relay and link == 0):
                tiers[link + 1] += left * math.fsum(way[f"decode_{unit}"][link + 1] for way in sent[link])
        return tiers, links, once


def every_placement(table: Json) -> Iterator[Priced]:
    """All placements that are allowed."""
    names = [node["id"] for node in table["nodes"]]
    for levels in product(range(3), repeat=len(names)):
        yield from _with_exits(table, dict(zip(names, levels, strict=True)))


def every_prefix(table: Json, order: Sequence[str]) -> Iterator[Priced]:
    """All allowed placements whose tiers hold prefixes of an order."""
    count = len(order)
    pairs = [(i, j) for i in range(count + 1) for j in range(i, count + 1)]
    for i, j in pairs:
        yield from _with_exits(table, {name: int(n >= i) + int(n >= j) for n, name in enumerate(order)})


def _with_exits(table: Json, tier: Tier) -> Iterator[Priced]:
    for exits in exit_choices(table):
        placed = Priced(table, tier, exits)
        if placed.value is not None:
            yield placed


def busy_tiers(placed: Priced) -> int:
    """How many tiers run a node or a head."""
    return sum(bool(placed.computed(level) or placed.heads(level)) for level in range(3))
