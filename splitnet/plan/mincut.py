"""Three ordered tiers as one minimum cut: the exact solver for latency, energy and bytes without memory caps.

The construction is Ishikawa's ("Exact optimization for Markov random fields with convex priors", IEEE TPAMI
25(10), 2003). Node v has two vertices x(v,0) and x(v,1); x(v,l) is on the source's side iff t(v) <= l. One of
the arcs source -> x(v,1) -> x(v,0) -> sink is cut: they carry the costs of the labels cloud, edge and device,
infinite where a label is not allowed. Infinite arcs x(v,0) -> x(v,1) keep the chain in order, and x(c,l) -> x(p,l)
hold a consumer c above its producer p.

A tensor from p pays once for link l however many consumers it has: p -> y carries its cost and y -> x(c,l) is
infinite for every consumer, so y is on the sink's side as soon as one consumer is. What the edge's exit reads has
the sink for y. An answer is an arc source -> x(p,l).
"""

import math

import numpy as np

from splitnet.plan.arrays import Floats, Indices
from splitnet.plan.maxflow import SINK, SOURCE, Network, min_cut
from splitnet.plan.terms import Found, Terms

_LINKS = (0, 1)


def solve_min_cut(terms: Terms) -> Found:
    """Return the placement of least cost; it is within 1e-9 of the bound, relatively.

    Args:
        terms: numbers of an objective that is a sum, without caps.
    """
    assert not terms.slowest
    x = _vertices(terms)
    cut = min_cut(_network(terms, x))
    if cut is None:
        return Found(None, math.inf)
    return Found((~cut.source_side[x]).sum(axis=1), cut.bound + float(terms.constant.sum()))


def _vertices(terms: Terms) -> Indices:
    """Number the vertices x(v,l), `[n, 2]`, after source and sink.

    Where the plan ends at the edge every x(v,1) is the source; in a relay x(v,0) and x(v,1) are one.
    """
    count = len(terms.work)
    x = 2 + np.arange(2 * count, dtype=np.intp).reshape(2, count).T
    if terms.kind == "edge":
        x[:, 1] = SOURCE
    elif terms.kind == "relay":
        x[:, 1] = x[:, 0]
    return x


class _Arcs:
    """Arcs, collected."""

    def __init__(self) -> None:
        self._parts: list[tuple[Indices, Indices, Floats]] = []

    def add(self, tails: Indices | int, heads: Indices | int, capacities: Floats | float) -> None:
        tails, heads, capacities = np.broadcast_arrays(tails, heads, capacities)
        self._parts.append((tails.astype(np.intp), heads.astype(np.intp), capacities.astype(np.float64)))

    def network(self) -> Network:
        tails, heads, capacities = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        return Network(int(max(tails.max(), heads.max())) + 1, tails, heads, capacities)


def _network(terms: Terms, x: Indices) -> Network:
    arcs = _Arcs()
    cost = np.where(terms.allowed, terms.work.sum(axis=2), np.inf)
    arcs.add(SOURCE, x[:, 1], cost[:, 2])
    arcs.add(x[:, 1], x[:, 0], cost[:, 1])
    arcs.add(x[:, 0], SINK, cost[:, 0])
    arcs.add(x[:, 0], x[:, 1], np.inf)
    size = 2 + x.size
    for link in _LINKS:
        arcs.add(x[terms.edges[:, 1], link], x[terms.edges[:, 0], link], np.inf)
        arcs.add(SOURCE, x[terms.producer[terms.answers], link], terms.back[terms.answers, link])
        if link == 0 or terms.kind == "cloud":
            size = _add_tensors(terms, arcs, x[:, link], link=link, size=size)
    return arcs.network()


def _add_tensors(terms: Terms, arcs: _Arcs, x: Indices, *, link: int, size: int) -> int:
    """Add what tensors pay for crossing `link` upwards; return the next free vertex."""
    crossings, count = terms.crossings, len(terms.producer)
    price = np.full(count, np.inf)
    some = crossings.link == link
    price[crossings.tensor[some]] = crossings.stages[some].sum(axis=1)
    forced = terms.forced & (link == 0)
    sent = np.flatnonzero((np.bincount(terms.uses[:, 0], minlength=count) > 0) | forced)
    y = np.full(count, -1, np.intp)
    y[sent] = np.arange(size, size + len(sent))
    y[forced] = SINK
    arcs.add(np.where(terms.producer[sent] < 0, SOURCE, x[terms.producer[sent]]), y[sent], price[sent])
    arcs.add(y[terms.uses[:, 0]], x[terms.uses[:, 1]], np.inf)
    return size + len(sent)
