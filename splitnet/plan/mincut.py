"""Three ordered tiers as one minimum cut: the exact solver for latency, energy and bytes without memory caps.

The construction is Ishikawa's ("Exact optimization for Markov random fields with convex priors", IEEE TPAMI
25(10), 2003). Node v has two vertices x(v,0) and x(v,1); x(v,l) is on the source's side iff t(v) <= l. One of
the arcs source -> x(v,1) -> x(v,0) -> sink is cut: they carry the costs on cloud, edge and device. Infinite arcs
x(v,0) -> x(v,1) keep the chain in order, and x(c,l) -> x(p,l) hold a consumer c above its producer p.

A tensor from p pays once for link l however many consumers it has: p -> y carries its cost and y -> x(c,l) is
infinite for every consumer, so y is on the sink's side as soon as one consumer is. An answer is an arc
source -> x(p,l).

A round trip paid once a link is no sum of such terms for every graph, so the cases of which links may be used
are solved one by one, and the best is taken. In a link that is not used, nodes that a tensor connects are on the
same side, and on the lower one where an input or an answer is among them: they share one vertex, which makes
these cases small.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from splitnet.plan.maxflow import SINK, SOURCE, Network, min_cut
from splitnet.plan.terms import Flags, Floats, Indices, Terms

_LINKS = (0, 1)


@dataclass(frozen=True, slots=True)
class Solution:
    """What a solver found.

    Attributes:
        tiers: `[n]`, the tier of each node.
        bound: no placement costs less.
    """

    tiers: Indices
    bound: float


def solve_min_cut(terms: Terms) -> Solution:
    """Return the placement of least cost; its value is within 1e-9 of the bound, relatively.

    Args:
        terms: numbers of an objective that is a sum, without caps.
    """
    assert not terms.slowest
    best: Indices = np.zeros(len(terms.node_cost), np.intp)
    at_device, bounds = terms.value(best), []
    for used in product(*((True, False) if once else (True,) for once in terms.once)):
        network, vertices = _network(terms, used)
        cut = min_cut(network, at_device)
        tiers = (~cut.source_side[vertices]).sum(axis=1)
        bounds.append(cut.bound + float(terms.once @ used))
        if terms.value(tiers) < terms.value(best):
            best = tiers
    return Solution(best, min(*bounds, terms.value(best)))


def _network(terms: Terms, used: tuple[bool, ...]) -> tuple[Network, Indices]:
    """Return the network in which only the `used` links may be crossed, and the vertices x, `[n, 2]`."""
    x, size = _vertices(terms, used)
    tails, heads, capacities = _chains(terms, x)
    made = terms.edges
    for link in _LINKS:
        tails.append(x[made[:, 1], link])
        heads.append(x[made[:, 0], link])
        capacities.append(np.full(len(made), np.inf))
        sent = np.flatnonzero(np.bincount(terms.uses[:, 0], minlength=len(terms.producer)))
        y = np.full(len(terms.producer), -1, np.intp)
        y[sent] = np.arange(size, size + len(sent))
        size += len(sent)
        from_input = terms.producer[sent] < 0
        tails += [np.where(from_input, SOURCE, x[terms.producer[sent], link]), y[terms.uses[:, 0]]]
        heads += [y[sent], x[terms.uses[:, 1], link]]
        capacities += [terms.transfer[sent, link], np.full(len(terms.uses), np.inf)]
        heads.append(x[terms.producer[terms.answers], link])
        tails.append(np.full(len(terms.answers), SOURCE))
        capacities.append(terms.transfer[terms.answers, link])
    return Network(size, np.concatenate(tails), np.concatenate(heads), np.concatenate(capacities)), x


def _chains(terms: Terms, x: Indices) -> tuple[list[Indices], list[Indices], list[Floats]]:
    """The arcs of each node's chain: its cost on cloud, edge and device, and the order of its vertices."""
    count = len(x)
    source, sink = np.full(count, SOURCE, np.intp), np.full(count, SINK, np.intp)
    tails = [source, x[:, 1], x[:, 0], x[:, 0]]
    heads = [x[:, 1], x[:, 0], sink, x[:, 1]]
    return (
        tails,
        heads,
        [terms.node_cost[:, 2], terms.node_cost[:, 1], terms.node_cost[:, 0], np.full(count, np.inf)],
    )


def _vertices(terms: Terms, used: tuple[bool, ...]) -> tuple[Indices, int]:
    """Number the vertices x(v,l), `[n, 2]`, after source and sink; return them and the next free number.

    Of a link that is not used the vertices of connected nodes are one, and it is the source where something holds
    them on the device. A node that must stay on the device has the source for both of its vertices.
    """
    count = len(terms.node_cost)
    x = 2 + np.arange(2 * count, dtype=np.intp).reshape(2, count).T
    if not all(used):
        component, anchored = _components(terms)
        for link in _LINKS:
            if not used[link]:
                x[:, link] = np.where(anchored[component], SOURCE, 2 + link * count + component)
    x[terms.pinned] = SOURCE
    return x, 2 + 2 * count


def _components(terms: Terms) -> tuple[Indices, Flags]:
    """Return the component of each node, `[n]`, and by component whether something holds it on the device.

    That is an input, an answer, or a node that must stay there.
    """
    count = len(terms.node_cost)
    made = terms.edges
    # Consumers of one tensor without producer need no arc: each is anchored by it.
    graph = coo_array((np.ones(len(made)), (made[:, 0], made[:, 1])), shape=(count, count))
    components, component = connected_components(graph, directed=False)
    anchored = np.zeros(components, np.bool_)
    anchored[component[terms.producer[terms.answers]]] = True
    inputs = terms.producer[terms.uses[:, 0]] < 0
    anchored[component[terms.uses[inputs, 1]]] = True
    anchored[component[terms.pinned]] = True
    return component.astype(np.intp), anchored
