"""Fewer cuts to draw without losing the shape of the curve: the good ones stay."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from splitnet.report.data import CutPoint

#: Cuts in a view; with seven stages about as many bars as a browser draws at once without a pause (2,000).
MAX_CUTS = 250


def thinned(cuts: Sequence[CutPoint], keep: Sequence[int]) -> tuple[int, ...]:
    """Return the positions to draw, ascending, at most `MAX_CUTS` and those to keep.

    Where there are more, cuts of several tensors go first, except for local minima; of what is still too much,
    each stretch of neighbours keeps its fastest.

    Args:
        cuts: every cut with every codec.
        keep: positions that stay.
    """
    fastest = _fastest(cuts)
    positions = sorted(fastest)
    if len(positions) <= MAX_CUTS:
        return tuple(positions)
    narrow = {cut.position for cut in cuts if len(cut.tensors) <= 1} | _local_minima(positions, fastest)
    chosen = [position for position in positions if position in narrow]
    if len(chosen) > MAX_CUTS:
        bounds = [len(chosen) * stretch // MAX_CUTS for stretch in range(MAX_CUTS + 1)]
        stretches = (chosen[low:high] for low, high in pairwise(bounds))
        chosen = [min(stretch, key=lambda position: fastest[position]) for stretch in stretches]
    return tuple(sorted({*chosen, *(position for position in keep if position in fastest)}))


def _fastest(cuts: Sequence[CutPoint]) -> dict[int, float]:
    """The least latency of each position over the codecs."""
    fastest: dict[int, float] = {}
    for cut in cuts:
        latency = cut.latency_ms if cut.sendable else float("inf")
        fastest[cut.position] = min(fastest.get(cut.position, float("inf")), latency)
    return fastest


def _local_minima(positions: Sequence[int], fastest: Mapping[int, float]) -> set[int]:
    triples = zip(positions, positions[1:], positions[2:], strict=False)
    return {mid for low, mid, high in triples if fastest[mid] < min(fastest[low], fastest[high])}
