"""Minima over windows of an array, and the least sums of pairs."""

import numpy as np

from splitnet.plan.arrays import Floats, Indices

#: (value, i, j).
Pair = tuple[float, int, int]


def window_minima(values: Floats, low: Indices, high: Indices) -> Floats:
    """Return the least of `values[low[k] : high[k] + 1]` for every k; infinite for an empty window.

    Every window is covered by two, that may overlap, whose length is a power of two (Bender and Farach-Colton,
    "The LCA problem revisited", LATIN 2000): O(n log n) for all.
    """
    minima, count = np.full(len(low), np.inf), len(values)
    length = 1
    while length <= count:
        some = (high - low + 1 >= length) & (high - low + 1 < 2 * length)
        minima[some] = np.minimum(values[low[some]], values[high[some] - length + 1])
        left = max(0, len(values) - length)
        values = np.minimum(values[:left], values[length : length + left])
        length *= 2
    return minima


def least(values: Floats, count: int) -> Indices:
    """Return the indices of the `count` least finite values, least first, of equal ones the first."""
    if count < len(values):
        limit = np.partition(values, count - 1)[count - 1]
        near = np.flatnonzero(values <= limit)
    else:
        near = np.arange(len(values))
    near = near[np.isfinite(values[near])]
    first: Indices = near[np.argsort(values[near], kind="stable")][:count]
    return first


def least_pairs(first: Floats, second: Floats, lowest: Indices, count: int) -> list[Pair]:
    """Return the `count` pairs of least `first[i] + second[j]` among lowest[j] <= i <= j.

    Of every j only the best i matters until `count` of them are known: a j whose best is not among the `count`
    best of all j cannot hold one of the `count` best pairs.
    """
    indices = np.arange(len(second))
    best = window_minima(first, lowest, indices) + second
    pairs: list[Pair] = []
    for j in least(best, count).tolist():
        low = int(lowest[j])
        sums = first[low : j + 1] + second[j]
        pairs += [(float(sums[i]), low + i, j) for i in least(sums, count).tolist()]
    return sorted(pairs)[:count]
