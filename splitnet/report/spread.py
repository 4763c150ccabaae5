"""Positions on a line that keep their order and a distance: for labels beside a plot and nodes in a layer."""

from collections.abc import Sequence
from itertools import accumulate


def spread(targets: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Return positions nearest to `targets` (least squares) with `gaps[i]` at least between i and i + 1.

    Taking the gaps out makes it a monotone regression, solved by pooling neighbours that violate it:
    Barlow et al., Statistical Inference under Order Restrictions, 1972.

    Args:
        targets: where each would like to be; the order of the list is kept, whatever they are.
        gaps: one fewer than targets, each 0 or more.
    """
    offsets = list(accumulate(gaps, initial=0.0))[: len(targets)]
    pools: list[tuple[float, int]] = []
    for target, offset in zip(targets, offsets, strict=True):
        mean, count = target - offset, 1
        while pools and pools[-1][0] > mean:
            before, many = pools.pop()
            mean, count = (mean * count + before * many) / (count + many), count + many
        pools.append((mean, count))
    means = [mean for mean, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]
