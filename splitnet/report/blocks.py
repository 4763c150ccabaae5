"""The model as a picture can show it: data nodes alone, and of a large model blocks of neighbours."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from splitnet.report.data import GraphEdge, GraphNode, Report
from splitnet.tiers import TIERS, Tier

#: Models of more nodes are drawn as about `BLOCKS` blocks.
MAX_NODES = 150
BLOCKS = 54


@dataclass(frozen=True, slots=True)
class Box:
    """A node, or a block of nodes that follow one another on the same tier."""

    tier: Tier
    nodes: tuple[GraphNode, ...]

    @property
    def ms(self) -> float:
        """Time of the nodes together."""
        return sum(node.ms for node in self.nodes)

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights together."""
        return sum(node.weight_bytes for node in self.nodes)

    @property
    def ops(self) -> tuple[tuple[str, int], ...]:
        """Operators and how often they occur, the most frequent first."""
        return tuple(Counter(node.op for node in self.nodes).most_common())


@dataclass(frozen=True, slots=True)
class Arrow:
    """What goes from one box to another, by their indices: bytes of the different tensors together, and codecs."""

    source: int
    target: int
    nbytes: int
    crosses: bool
    codecs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes in an order in which arrows go forward, and how many nodes are left out."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    left_out: int


def picture(report: Report) -> Picture:
    """Return what to draw of the model; nodes of no tier are left out, and edges down to a lower one."""
    ranked = [(TIERS.index(node.tier), node.tier, node) for node in report.nodes if node.tier is not None]
    ranked.sort(key=lambda item: item[0])
    placed = [(tier, node) for _, tier, node in ranked]
    order = {node.id: index for index, (_, node) in enumerate(placed)}
    edges = [edge for edge in report.edges if order.get(edge.source, len(order)) < order.get(edge.target, -1)]
    starts = _starts([tier for tier, _ in placed], order, edges)
    boxes: list[Box] = []
    box_of: dict[str, int] = {}
    for low, high in pairwise((*starts, len(placed))):
        box_of |= {placed[index][1].id: len(boxes) for index in range(low, high)}
        boxes.append(Box(placed[low][0], tuple(node for _, node in placed[low:high])))
    return Picture(tuple(boxes), _arrows(edges, box_of), len(report.nodes) - len(placed))


def _starts(tiers: Sequence[Tier], order: dict[str, int], edges: Sequence[GraphEdge]) -> list[int]:
    """Where boxes start: everywhere in a small model; else where the fewest tensors pass and the tier changes."""
    count = len(tiers)
    if count <= MAX_NODES:
        return list(range(count))
    passing = _passing(count, order, edges)
    length = count / BLOCKS
    starts, last = [0], 0
    while True:
        window = range(last + max(1, round(0.6 * length)), min(count, last + round(1.4 * length)) + 1)
        change = next((at for at in range(last + 1, min(count, window.stop)) if tiers[at] != tiers[at - 1]), None)
        if change is None and window.stop > count:
            return starts
        last = change if change is not None else min(window, key=lambda at: (passing[at], -at))
        starts.append(last)


def _passing(count: int, order: dict[str, int], edges: Sequence[GraphEdge]) -> list[int]:
    """How many nodes' results are still needed at each place between two nodes."""
    until: dict[int, int] = defaultdict(int)
    for edge in edges:
        source = order[edge.source]
        until[source] = max(until[source], order[edge.target])
    changes = [0] * (count + 1)
    for source, target in until.items():
        changes[source + 1] += 1
        changes[target + 1 if target < count else count] -= 1
    passing, now = [], 0
    for change in changes:
        now += change
        passing.append(now)
    return passing


def _arrows(edges: Sequence[GraphEdge], box_of: dict[str, int]) -> tuple[Arrow, ...]:
    tensors: dict[tuple[int, int, bool], set[tuple[str, int, str]]] = defaultdict(set)
    for edge in edges:
        source, target = box_of[edge.source], box_of[edge.target]
        if source != target:
            tensors[source, target, edge.crosses].add((edge.source, edge.nbytes, edge.codec))
    return tuple(
        Arrow(
            source,
            target,
            sum(nbytes for _, nbytes, _ in sent),
            crosses,
            tuple(sorted({codec for _, _, codec in sent if codec})),
        )
        for (source, target, crosses), sent in tensors.items()
    )
