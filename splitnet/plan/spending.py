"""What a layout costs when its tensors are sent in given ways, stage by stage."""

from dataclasses import dataclass

import numpy as np

from splitnet.plan.arrays import Arrays, Floats, Indices
from splitnet.plan.layout import Layout
from splitnet.plan.prices import Prices


@dataclass(frozen=True, slots=True)
class Sent:
    """How tensors are sent.

    Attributes:
        ways: for each link used, `[m]`: the way by which a tensor crosses it, -1 where it does not.
        is_relay: whether the edge passes on what it gets as it is.
    """

    ways: tuple[Indices, ...]
    is_relay: bool


@dataclass(frozen=True, slots=True)
class Spending:
    """Expected costs of one sample, each weighted by the share of samples that get there.

    Attributes:
        nodes: `[3]`, of the nodes on each tier.
        heads: `[2]`, of the exits on device and edge.
        encode: `[2]`, below each link.
        transfer: `[2]`, bytes up and down and headers.
        decode: `[2]`, above each link.
        once: `[2]`, of crossing the link at all.
    """

    nodes: Floats
    heads: Floats
    encode: Floats
    transfer: Floats
    decode: Floats
    once: Floats

    @property
    def on_links(self) -> Floats:
        """`[2]`: all that is due to each link."""
        total: Floats = self.encode + self.transfer + self.decode + self.once
        return total

    @property
    def stages(self) -> Floats:
        """`[5]`: how long device, device-edge, edge, edge-cloud and cloud are busy with one sample."""
        tiers = self.nodes.copy()
        tiers[:2] += self.heads + self.encode
        tiers[1:] += self.decode
        return np.array([tiers[0], self.transfer[0], tiers[1], self.transfer[1], tiers[2]])

    def value(self, *, slowest: bool) -> float:
        """Return the objective: the slowest stage, or the sum of everything."""
        if slowest:
            return float(self.stages.max())
        return float(self.nodes.sum() + self.heads.sum() + self.on_links.sum())


def spending_of(arrays: Arrays, prices: Prices, layout: Layout, sent: Sent) -> Spending:
    """Return what `layout` costs under `prices`."""
    shares = arrays.shares(layout.exits)
    reach = np.array([1.0, *shares])
    present = arrays.present(layout.exits)[np.arange(len(layout.tiers)), layout.tiers]
    heads, encode, transfer, decode, once = np.zeros((5, 2))
    for tier, index in enumerate(layout.exits):
        if index is not None:
            heads[tier] = reach[tier] * prices.head[index, tier]
    for link in range(layout.last):
        ways = sent.ways[link][sent.ways[link] >= 0]
        answers = arrays.answers[layout.tiers[arrays.producer[arrays.answers]] > link]
        nbytes = arrays.way_bytes[ways].sum() + arrays.size[answers].sum()
        transfer[link] = shares[link] * (prices.per_byte[link] * nbytes + prices.message[link])
        once[link] = shares[link] * prices.once[link]
        if not (sent.is_relay and link == 1):
            encode[link] = shares[link] * prices.encode[ways, link].sum()
        if not (sent.is_relay and link == 0):
            decode[link] = shares[link] * prices.decode[ways, link + 1].sum()
    nodes: Floats = reach * (prices.node * present).sum(axis=0)
    return Spending(nodes, heads, encode, transfer, decode, once)


def bytes_up(arrays: Arrays, layout: Layout, sent: Sent) -> tuple[float, ...]:
    """Return the expected bytes up on each link used, headers included."""
    shares, links = arrays.shares(layout.exits), arrays.table.links
    return tuple(
        float(share * (arrays.way_bytes[ways[ways >= 0]].sum() + link.message_bytes))
        for share, link, ways in zip(shares, links, sent.ways, strict=False)
    )
