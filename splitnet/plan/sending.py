"""The best ways to send what crosses the links of a layout."""

from dataclasses import dataclass

import numpy as np

from splitnet.plan.arrays import Arrays, Flags, Floats, Indices
from splitnet.plan.fronts import Front, Fronts
from splitnet.plan.layout import Layout
from splitnet.plan.prices import Cheapest, Priced, Prices, cheapest
from splitnet.plan.spending import Sent, spending_of


@dataclass(frozen=True, slots=True)
class Sender:
    """The cheapest ways to send each tensor, for an objective that is a sum.

    Attributes:
        links: over each link, decoded above it.
        relay: over both links, decoded in the cloud.
    """

    links: tuple[Cheapest, Cheapest]
    relay: Cheapest


def sender_of(problem: Priced) -> Sender:
    """Return the cheapest ways of `problem`."""
    arrays, goal, latency = problem.arrays, problem.goal, problem.latency
    below, above = (cheapest(arrays, goal.sending(arrays, link), latency.sending(arrays, link)) for link in (0, 1))
    return Sender((below, above), cheapest(arrays, goal.relaying(arrays), latency.relaying(arrays)))


def best_sent(problem: Priced, layout: Layout, sender: Sender) -> Sent:
    """Return the best ways for the objective; an idle edge passes on what it gets, or sends it another way."""
    arrays = problem.arrays
    crossing = [layout.crossing(arrays, link) for link in range(layout.last)]
    choices = [_slowest_least(problem, layout, crossing) if problem.goal.slowest else _cheapest(crossing, sender)]
    if layout.last == 2 and layout.edge_is_idle:
        passed_on = (
            _relay_least(problem, layout, crossing[1])
            if problem.goal.slowest
            else _where(crossing[1], sender.relay.way)
        )
        choices.insert(0, Sent((passed_on, passed_on), is_relay=True))
    slowest = problem.goal.slowest
    return min(choices, key=lambda sent: spending_of(arrays, problem.goal, layout, sent).value(slowest=slowest))


def _cheapest(crossing: list[Flags], sender: Sender) -> Sent:
    ways = tuple(_where(flags, one.way) for flags, one in zip(crossing, sender.links, strict=False))
    return Sent(ways, is_relay=False)


def _where(crossing: Flags, way: Indices) -> Indices:
    return np.where(crossing, way, -1)


def link_costs(arrays: Arrays, prices: Prices, link: int) -> Floats:
    """Return `[w, 3]`: cost of encoding below `link`, bytes, and cost of decoding above it."""
    return np.column_stack((prices.encode[:, link], arrays.way_bytes, prices.decode[:, link + 1]))


def relay_costs(arrays: Arrays, prices: Prices) -> Floats:
    """Return `[w, 3]`: cost of encoding on the device, bytes, and cost of decoding in the cloud."""
    return np.column_stack((prices.encode[:, 0], arrays.way_bytes, prices.decode[:, 2]))


def _unsent(problem: Priced, layout: Layout) -> Floats:
    """How long each of the five stages is busy before anything is sent."""
    nothing = np.full(len(problem.arrays.producer), -1, np.intp)
    sent = Sent((nothing,) * layout.last, is_relay=False)
    return spending_of(problem.arrays, problem.goal, layout, sent).stages


def _slowest_least(problem: Priced, layout: Layout, crossing: list[Flags]) -> Sent:
    """The ways with which the slowest stage is fastest, decoded above each link."""
    arrays, prices, stages = problem.arrays, problem.goal, _unsent(problem, layout)
    shares = arrays.shares(layout.exits)
    tensors = [np.flatnonzero(flags) for flags in crossing]
    fronts = [
        Fronts(arrays, link_costs(arrays, prices, link)).of(tuple(some.tolist()))
        for link, some in enumerate(tensors)
    ]
    busy = [_busy(front, share, pb) for front, share, pb in zip(fronts, shares, prices.per_byte, strict=False)]
    while len(busy) < 2:
        busy.append(np.zeros((1, 3)))
    first, second = busy
    edge = stages[2] + first[:, None, 2] + second[None, :, 0]
    below = np.maximum(stages[0] + first[:, 0], stages[1] + first[:, 1])
    above = np.maximum(stages[3] + second[:, 1], stages[4] + second[:, 2])
    slowest = np.maximum(np.maximum(below[:, None], above), edge)
    best = np.unravel_index(int(slowest.argmin()), slowest.shape)
    return Sent(
        tuple(
            _chosen(arrays, some, front, int(index))
            for some, front, index in zip(tensors, fronts, best, strict=False)
        ),
        is_relay=False,
    )


def _relay_least(problem: Priced, layout: Layout, crossing: Flags) -> Indices:
    """The ways with which the slowest stage is fastest, decoded in the cloud alone."""
    arrays, stages = problem.arrays, _unsent(problem, layout)
    tensors = np.flatnonzero(crossing)
    front = Fronts(arrays, relay_costs(arrays, problem.goal)).of(tuple(tensors.tolist()))
    share = arrays.shares(layout.exits)[0]
    below, above = (_busy(front, share, per_byte) for per_byte in problem.goal.per_byte)
    busy = np.column_stack((below[:, 0], below[:, 1], above[:, 1], above[:, 2])) + stages[[0, 1, 3, 4]]
    return _chosen(arrays, tensors, front, int(busy.max(axis=1).argmin()))


def _busy(front: Front, share: float, per_byte: float) -> Floats:
    """`[f, 3]`: expected cost of encoding, transfer and decoding."""
    busy: Floats = front.points * np.array([share, share * per_byte, share])
    return busy


def _chosen(arrays: Arrays, tensors: Indices, front: Front, index: int) -> Indices:
    ways = np.full(len(arrays.producer), -1, np.intp)
    ways[tensors] = front.ways[index]
    return ways
