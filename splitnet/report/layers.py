"""Boxes in layers from left to right, with lanes for arrows that pass a layer, ordered so that few lines cross.

The layered drawing of Sugiyama, Tagawa and Toda (1981): longest-path layers, dummy places, barycentres. What
leaves one box shares one lane, so that a tensor with many readers is one line.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from splitnet.report.blocks import Arrow, Box, Picture
from splitnet.tiers import TIERS

_SWEEPS = 6


@dataclass(slots=True, eq=False)
class Spot:
    """A place in a layer: of a box, or of a lane where `box` is None; `x` and `y` are its middle, px."""

    layer: int
    box: int | None = None
    before: list["Spot"] = field(default_factory=list)
    after: list["Spot"] = field(default_factory=list)
    rank: float = 0.0
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True, slots=True)
class Join:
    """A line from a spot to one in the next layer, all that leaves the same box with it, and that box's tier."""

    source: Spot
    target: Spot
    arrows: tuple[Arrow, ...]
    starts_at: int

    @property
    def crosses(self) -> bool:
        """Whether this is sent over a link."""
        return self.arrows[0].crosses


@dataclass(frozen=True, slots=True)
class Layers:
    """Spots by layer, top to bottom; the lines between them; the index of the tier of each layer."""

    spots: tuple[tuple[Spot, ...], ...]
    joins: tuple[Join, ...]
    tiers: tuple[int, ...]


def layered(picture: Picture) -> Layers:
    """Return the layers of a picture; the layers of a tier come after all those of the tier below."""
    numbers = _numbers(picture)
    boxes = [Spot(number, index) for index, number in enumerate(numbers)]
    spots: list[list[Spot]] = [[] for _ in range(max(numbers, default=-1) + 1)]
    tiers = [0] * len(spots)
    for spot, box in zip(boxes, picture.boxes, strict=True):
        spots[spot.layer].append(spot)
        tiers[spot.layer] = TIERS.index(box.tier)
    joins = [
        join
        for arrows in _shared(picture.arrows)
        for join in _lane(arrows, boxes, spots, starts_at=tiers[boxes[arrows[0].source].layer])
    ]
    for join in joins:
        join.source.after.append(join.target)
        join.target.before.append(join.source)
    _order(spots)
    return Layers(tuple(map(tuple, spots)), tuple(joins), tuple(tiers))


def _numbers(picture: Picture) -> list[int]:
    """The layer of each box: after all that it reads, and what reads nothing close to its first reader."""
    before, after = defaultdict(list), defaultdict(list)
    for arrow in picture.arrows:
        if _same_tier(picture.boxes, arrow):
            before[arrow.target].append(arrow.source)
            after[arrow.source].append(arrow.target)
    numbers: list[int] = []
    start, tier = 0, ""
    for index, box in enumerate(picture.boxes):
        if box.tier != tier:
            start, tier = max(numbers, default=-1) + 1, box.tier
        numbers.append(max((numbers[source] + 1 for source in before[index]), default=start))
    for index in range(len(numbers)):
        if not before[index] and after[index]:
            numbers[index] = min(numbers[target] for target in after[index]) - 1
    return numbers


def _same_tier(boxes: Sequence[Box], arrow: Arrow) -> bool:
    return boxes[arrow.source].tier == boxes[arrow.target].tier


def _shared(arrows: Sequence[Arrow]) -> list[tuple[Arrow, ...]]:
    """Arrows that share a lane: of one source, apart by whether they are sent."""
    lanes: dict[tuple[int, bool], list[Arrow]] = defaultdict(list)
    for arrow in arrows:
        lanes[arrow.source, arrow.crosses].append(arrow)
    return [tuple(lane) for lane in lanes.values()]


def _lane(
    arrows: tuple[Arrow, ...], boxes: Sequence[Spot], spots: Sequence[list[Spot]], *, starts_at: int
) -> list[Join]:
    """The lines of one lane, which passes every layer up to its last reader and adds a spot to each."""
    here = boxes[arrows[0].source]
    readers = defaultdict(list)
    for arrow in arrows:
        readers[boxes[arrow.target].layer].append(boxes[arrow.target])
    joins = []
    for layer in range(here.layer + 1, max(readers) + 1):
        joins += [Join(here, reader, arrows, starts_at) for reader in readers[layer]]
        if layer < max(readers):
            passing = Spot(layer)
            spots[layer].append(passing)
            joins.append(Join(here, passing, arrows, starts_at))
            here = passing
    return joins


def _order(spots: Sequence[list[Spot]]) -> None:
    """Sort each layer by the mean rank of its neighbours on one side, then on the other, a few times."""
    _rank(spots)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for layer in spots if forward else reversed(spots):
            layer.sort(key=lambda spot: _mean(spot, forward=forward))
            _rank([layer])


def _rank(spots: Sequence[list[Spot]]) -> None:
    for layer in spots:
        for index, spot in enumerate(layer):
            spot.rank = (index + 0.5) / len(layer)


def _mean(spot: Spot, *, forward: bool) -> float:
    neighbours = spot.before if forward else spot.after
    return sum(one.rank for one in neighbours) / len(neighbours) if neighbours else spot.rank
