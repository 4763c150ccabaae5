"""What everything costs under one objective, before it is weighted by the share of samples that get there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from splitnet.errors import InvalidArgumentError
from splitnet.plan.arrays import Arrays, Floats, Indices, arrays_of
from splitnet.plan.checks import missing_energy
from splitnet.plan.parts import CodecCost, Exit, Link, Node
from splitnet.plan.table import CostTable, Objective


@dataclass(frozen=True, slots=True)
class Prices:
    """Costs of one sample in the objective's unit: ms, mJ or bytes.

    Attributes:
        node: `[n, 3]`, of a node on each tier; 0 where it cannot run.
        head: `[x, 3]`, of an exit's head on each tier.
        encode: `[w, 3]`, of a way to send on the tier that encodes.
        decode: `[w, 3]`, of a way to send on the tier that decodes.
        per_byte: `[2]`, of a byte on each link, up or down.
        once: `[2]`, of crossing each link at all, without `message`.
        message: `[2]`, of the message's headers on each link.
        slowest: the objective is the largest of the five stages (throughput) instead of the sum.
    """

    node: Floats
    head: Floats
    encode: Floats
    decode: Floats
    per_byte: Floats
    once: Floats
    message: Floats
    slowest: bool

    def sending(self, arrays: Arrays, link: int) -> Floats:
        """Return `[w]`: encoding below `link`, crossing it and decoding above it."""
        cost: Floats = self.encode[:, link] + self.per_byte[link] * arrays.way_bytes + self.decode[:, link + 1]
        return cost

    def relaying(self, arrays: Arrays) -> Floats:
        """Return `[w]`: encoding on the device, crossing both links and decoding in the cloud."""
        cost: Floats = self.encode[:, 0] + self.per_byte.sum() * arrays.way_bytes + self.decode[:, 2]
        return cost


@dataclass(frozen=True, slots=True)
class Cheapest:
    """The cheapest way to send each tensor somewhere.

    Attributes:
        cost: `[m]`; infinite where there is none.
        way: `[m]`; -1 where there is none.
    """

    cost: Floats
    way: Indices


def cheapest(arrays: Arrays, cost: Floats, latency_ms: Floats) -> Cheapest:
    """Return the way of least `cost`, `[w]`, of each tensor; of equal ones the faster, then the first."""
    order = np.lexsort((latency_ms, cost, arrays.way_tensor))
    tensors, first = np.unique(arrays.way_tensor[order], return_index=True)
    count = len(arrays.producer)
    best, way = np.full(count, np.inf), np.full(count, -1, np.intp)
    way[tensors] = order[first]
    best[tensors] = cost[way[tensors]]
    return Cheapest(best, way)


def prices_of(arrays: Arrays, objective: Objective) -> Prices:
    """Return the prices of `objective`, whose energies must be there for "energy".

    Raises:
        InvalidArgumentError: the numbers are so large that their sum is not finite.
    """
    per_byte, once = _link_prices(arrays.table.links, objective)
    message = np.array([link.message_bytes for link in arrays.table.links])
    with np.errstate(over="ignore", invalid="ignore"):
        prices = Prices(
            node=_per_tier(arrays.table.nodes, objective),
            head=_per_tier(arrays.table.exits, objective),
            encode=_codec(arrays.ways, objective, "encode"),
            decode=_codec(arrays.ways, objective, "decode"),
            per_byte=per_byte,
            once=once,
            message=per_byte * message,
            slowest=objective == "throughput",
        )
        parts = (prices.node, prices.head, prices.encode, prices.decode, once, prices.message)
        nbytes = arrays.way_bytes.sum() + arrays.size.sum()
        total = sum(float(part.sum()) for part in parts) + float((per_byte * nbytes).sum())
    if not np.isfinite(total):
        raise InvalidArgumentError("nodes, tensors, links: the sum of all costs is too large to be a number")
    return prices


def _linked(prices: Prices, links: Sequence[Link], objective: Objective) -> Prices:
    per_byte, _ = _link_prices(links, objective)
    return replace(prices, per_byte=per_byte, message=per_byte * [link.message_bytes for link in links])


def knows_energy(arrays: Arrays) -> bool:
    """Whether every energy that the objective "energy" would need is there."""
    entries: tuple[Node | Exit, ...] = (*arrays.table.nodes, *arrays.table.exits)
    return all(
        entry.energy_mj is not None
        and all(mj is not None or ms is None for mj, ms in zip(entry.energy_mj, entry.cost_ms, strict=True))
        for entry in entries
    ) and not any(map(missing_energy, arrays.ways))


def _link_prices(links: Sequence[Link], objective: Objective) -> tuple[Floats, Floats]:
    """What a byte costs on each link, and crossing it at all."""
    none = np.zeros(len(links))
    if objective == "energy":
        return np.array([link.energy_mj_per_byte for link in links]), none
    if objective == "bytes":
        return np.ones(len(links)), none
    with np.errstate(over="ignore"):
        per_byte = 8000 / np.array([link.bandwidth_bps for link in links])  # bytes and bits/s to ms
    return per_byte, none if objective == "throughput" else np.array([link.rtt_ms for link in links])


def _per_tier(entries: Sequence[Node | Exit], objective: Objective) -> Floats:
    """`[n, 3]`: what nodes or heads cost; 0 where they cannot run."""
    costs = np.zeros((len(entries), 3))
    if objective != "bytes" and entries:
        given = [entry.energy_mj if objective == "energy" else entry.cost_ms for entry in entries]
        costs[:] = np.nan_to_num(np.array(given, np.float64), posinf=np.inf)
    return costs


def _codec(ways: Sequence[CodecCost], objective: Objective, what: Literal["encode", "decode"]) -> Floats:
    """`[w, 3]`: what encoding or decoding costs; a time of 0 takes no energy."""
    costs = np.zeros((len(ways), 3))
    if objective != "bytes":
        unit = "mj" if objective == "energy" else "ms"
        given = [getattr(way, f"{what}_{unit}") for way in ways]
        costs[:] = [(0.0, 0.0, 0.0) if one is None else one for one in given] or 0.0
    return costs


@dataclass(frozen=True, slots=True)
class Priced:
    """A table, and what all of it costs.

    Attributes:
        arrays: the table.
        goal: under its objective.
        latency: in ms.
        energy: in mJ; None unless all energies are known.
    """

    arrays: Arrays
    goal: Prices
    latency: Prices
    energy: Prices | None

    def at_bandwidth(self, link: int, bandwidth_bps: float) -> "Priced":
        """Return the same with another bandwidth of `link`."""
        links = list(self.arrays.table.links)
        links[link] = replace(links[link], bandwidth_bps=bandwidth_bps)
        latency = _linked(self.latency, links, "latency")
        if self.goal is self.latency:
            return replace(self, latency=latency, goal=latency)
        return replace(self, latency=latency, goal=_linked(self.goal, links, self.arrays.table.objective))


def priced(table: CostTable) -> Priced:
    """Return `table` with its prices.

    Raises:
        InvalidArgumentError: the numbers are so large that their sum is not finite.
    """
    arrays = arrays_of(table)
    latency = prices_of(arrays, "latency")
    goal = latency if table.objective == "latency" else prices_of(arrays, table.objective)
    return Priced(arrays, goal, latency, prices_of(arrays, "energy") if knows_energy(arrays) else None)
