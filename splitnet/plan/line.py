"""Sums over the prefixes of an order of the nodes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from splitnet.errors import InvalidArgumentError
from splitnet.plan.arrays import Arrays, Floats, Indices, arrays_of
from splitnet.plan.layout import tiers_of
from splitnet.plan.placement import Placement
from splitnet.plan.table import CostTable


@dataclass(frozen=True, slots=True)
class Line:
    """A topological order of K nodes; prefix i holds its first i.

    Attributes:
        nodes: `[K]`, indices in order.
        start: `[m]`, the first prefix that holds the node that makes a tensor; 0 for an input.
        end: `[m]`, the last prefix that does not hold all who read it; before `start` for an answer.
        answers: `[K + 1]`, bytes of the answers that are made above each prefix.
    """

    nodes: Indices
    start: Indices
    end: Indices
    answers: Floats

    @property
    def length(self) -> int:
        """K."""
        return len(self.nodes)

    def sums(self, values: Floats) -> Floats:
        """Return `[K + 1, ...]`: the sums of `values`, `[K, ...]`, over the nodes of each prefix."""
        ordered = np.zeros((len(values) + 1, *values.shape[1:]))
        np.cumsum(values[self.nodes], axis=0, out=ordered[1:])
        return ordered

    def crossing(self, values: Floats, start: Indices, end: Indices) -> Floats:
        """Return `[K + 1]`: the sum of the `values` of tensors that cross behind each prefix, `start` to `end`."""
        crossing = self._counted(np.where(np.isfinite(values), values, 0.0), start, end)
        stuck = self._counted((~np.isfinite(values)).astype(np.float64), start, end)
        return np.where(stuck > 0.5, np.inf, np.maximum(crossing, 0.0))

    def _counted(self, values: Floats, start: Indices, end: Indices) -> Floats:
        some = start <= end
        size = self.length + 2
        come = np.bincount(start[some], values[some], size)
        gone = np.bincount(end[some] + 1, values[some], size)
        counted: Floats = np.cumsum(come - gone)[: self.length + 1]
        return counted


def line_of(arrays: Arrays, order: Sequence[str]) -> Line:
    """Return `order` as a line.

    Raises:
        InvalidArgumentError: it does not hold each node once, after those that feed it.
    """
    index = {name: number for number, name in enumerate(arrays.nodes)}
    if len(order) != len(index) or set(order) != index.keys():
        wrong = set(order) ^ index.keys()
        raise InvalidArgumentError(
            f"order: expected each of the {len(index)} nodes once, got {len(order)} names"
            + (f"; {min(wrong)!r} is missing or unknown" if wrong else "")
        )
    nodes = np.array([index[name] for name in order], np.intp)
    position = np.empty_like(nodes)
    position[nodes] = np.arange(len(nodes))
    below, above = position[arrays.edges].T
    for edge in np.flatnonzero(below > above):
        early, late = order[above[edge]], order[below[edge]]
        raise InvalidArgumentError(f"order: {early!r} comes before {late!r}, which feeds it")
    start = np.where(arrays.producer < 0, 0, position[arrays.producer] + 1)
    end = np.full(len(start), -1, np.intp)
    np.maximum.at(end, arrays.uses[:, 0], position[arrays.uses[:, 1]])
    answers = np.zeros(len(nodes))
    np.add.at(answers, arrays.producer[arrays.answers], arrays.size[arrays.answers])
    behind = np.concatenate(([0.0], np.cumsum(answers[nodes][::-1])))[::-1]
    return Line(nodes, start, end, behind)


def order_through(table: CostTable, placement: Placement) -> tuple[str, ...]:
    """Return a topological order of which the nodes below each link are prefixes, else that of the table.

    Raises:
        InvalidArgumentError: the placement is not one of the table's nodes.
    """
    arrays = arrays_of(table)
    tiers = tiers_of(arrays, placement.tier_of)
    return tuple(arrays.nodes[node] for node in np.lexsort((arrays.rank, tiers)))
