"""Minimum cuts with real capacities, on scipy's maximum flow, which takes 32-bit integers only.

The capacities are scaled and rounded down, so that the flow is one of the real network too. What is left of
them is scaled up again by the little that is still missing, and the next flow is found there, as in iterative
refinement of a linear system: each round brings some 14 to 29 bits. The sum of the flows is a lower bound of
every cut.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from splitnet.plan.arrays import Flags, Floats, Indices

SOURCE, SINK = 0, 1

#: A cut is accepted when it is at most so much above its lower bound, relatively.
TOLERANCE = 1e-10

# A round's flow is at most 2^29 and an arc beyond any cut 2^30: residuals, their sums, stay below 2^31.
_LARGEST_FLOW = 2.0**29
_UNCUTTABLE = 2.0**30
_MOST_ROUNDS = 6
# Less than that is nothing: scales would overflow.
_NOTHING = 1e-290


@dataclass(frozen=True, slots=True)
class Network:
    """A flow network; vertex 0 is the source, 1 the sink.

    Attributes:
        size: number of vertices.
        tails: `[a]`, where each arc begins.
        heads: `[a]`, where each arc ends.
        capacities: `[a]`, not negative; infinite: never cut. Parallel arcs add up.
    """

    size: int
    tails: Indices
    heads: Indices
    capacities: Floats


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut.

    Attributes:
        bound: no cut of the network is smaller.
        source_side: `[size]`, the vertices on the source's side.
    """

    bound: float
    source_side: Flags


def min_cut(network: Network) -> Cut | None:
    """Return a smallest cut, of several one with as many vertices as possible on the source's side.

    None: infinite arcs lead from source to sink, so nothing can be cut.
    """
    residual = _matrix(network)
    source_side = _cannot_reach_sink(_uncuttable(residual))
    if not source_side[SOURCE]:
        return None
    flow, left = 0.0, _weight(residual, source_side)
    for _ in range(_MOST_ROUNDS):
        if left <= max(TOLERANCE * (flow + left), _NOTHING):
            break
        scale = _LARGEST_FLOW / left
        whole = residual.copy()
        with np.errstate(over="ignore"):
            whole.data = np.minimum(np.floor(whole.data * scale), _UNCUTTABLE).astype(np.int32)
        whole.eliminate_zeros()
        found = maximum_flow(whole, SOURCE, SINK)
        source_side = _cannot_reach_sink(whole - found.flow)
        flow += found.flow_value / scale
        residual = csr_array(residual - found.flow.astype(np.float64) / scale)
        residual.data = np.maximum(residual.data, 0.0)
        left = _weight(residual, source_side)
    rounding = len(network.tails) * np.finfo(np.float64).eps * (flow + left)
    return Cut(max(0.0, float(flow - rounding)), source_side)


def _matrix(network: Network) -> csr_array:
    """Capacities as a matrix, without arcs that no cut from source to sink holds."""
    kept = (network.heads != SOURCE) & (network.tails != SINK) & (network.heads != network.tails)
    shape = (network.size, network.size)
    arcs = (network.capacities[kept], (network.tails[kept].astype(np.int32), network.heads[kept].astype(np.int32)))
    return csr_array(coo_array(arcs, shape=shape))


def _uncuttable(capacity: csr_array) -> csr_array:
    """The infinite arcs alone."""
    infinite = capacity.copy()
    infinite.data = np.isinf(infinite.data).astype(np.int32)
    return infinite


def _cannot_reach_sink(residual: csr_array) -> Flags:
    """Which vertices cannot; `residual` loses its zeros."""
    residual.eliminate_zeros()
    reached = breadth_first_order(residual.T.tocsr(), SINK, return_predecessors=False)
    outside = np.ones(residual.shape[0], np.bool_)
    outside[reached] = False
    return outside


def _weight(capacity: csr_array, source_side: Flags) -> float:
    arcs = capacity.tocoo()
    return float(arcs.data[source_side[arcs.row] & ~source_side[arcs.col]].sum())
