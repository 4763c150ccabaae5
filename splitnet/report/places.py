"""Where the spots of a layered picture go: rows of layers that wrap like text, one band of rows for each tier."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from splitnet.report.layers import Join, Layers, Spot
from splitnet.report.spread import spread

#: All lengths are px of a picture of this width.
WIDTH = 1160.0
BOX_WIDTH, BOX_HEIGHT = 106.0, 38.0
_GUTTER = 26.0
_COLUMNS = 9
_LANE_HEIGHT = 8.0
_SPACE = 10.0
_ROW_SPACE = 10.0
_BAND_HEAD = 34.0
_BAND_FOOT = 12.0
_BAND_GAP = 46.0
_WRAP_STEP = 5.0
_SWEEPS = 8


@dataclass(frozen=True, slots=True)
class Band:
    """The rows of one tier, by its index: a rectangle over the whole width."""

    tier: int
    top: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Wrap:
    """A line from the end of a row to the start of the next: the height at which it goes back, and its number."""

    join: Join
    y: float
    number: int
    leaves_band: bool


@dataclass(frozen=True, slots=True)
class Places:
    """The bands, the lines within rows, those between rows, and the height of it all."""

    bands: tuple[Band, ...]
    straight: tuple[Join, ...]
    wraps: tuple[Wrap, ...]
    height: float


def place(layers: Layers) -> Places:
    """Give every spot its `x` and `y`, and return what lies around them."""
    rows = _rows(layers)
    row_of = {layer: number for number, row in enumerate(rows) for layer in row}
    straight = [join for join in layers.joins if row_of[join.source.layer] == row_of[join.target.layer]]
    wrapping: dict[int, list[Join]] = defaultdict(list)
    for join in layers.joins:
        if row_of[join.source.layer] != row_of[join.target.layer]:
            wrapping[row_of[join.source.layer]].append(join)
    bands: list[Band] = []
    wraps: list[Wrap] = []
    y = 0.0
    for number, row in enumerate(rows):
        first, last = _is_edge(layers, rows, number, -1), _is_edge(layers, rows, number, 1)
        top = y if first else bands.pop().top
        y += _BAND_HEAD if first else 0.0
        y += _place_row([layers.spots[layer] for layer in row], y) + (_BAND_FOOT if last else 0.0)
        bands.append(Band(layers.tiers[row.start], top, y))
        if number + 1 < len(rows):
            lines = sorted(wrapping[number], key=lambda join: join.source.y)
            space = _BAND_GAP if last else 2 * _ROW_SPACE
            wraps += [Wrap(join, y + space / 2 + at * _WRAP_STEP, at, last) for at, join in enumerate(lines)]
            y += space + _WRAP_STEP * len(lines)
    return Places(tuple(bands), tuple(straight), tuple(wraps), y)


def _is_edge(layers: Layers, rows: Sequence[range], number: int, step: int) -> bool:
    """Whether the row is the first (step -1) or the last (step 1) of its tier."""
    other = number + step
    inside = 0 <= other < len(rows)
    return not inside or layers.tiers[rows[other].start] != layers.tiers[rows[number].start]


def _rows(layers: Layers) -> list[range]:
    """Layers that stand side by side: at most `_COLUMNS`, of one tier."""
    rows: list[range] = []
    for layer, tier in enumerate(layers.tiers):
        row = rows[-1] if rows else None
        if row is not None and len(row) < _COLUMNS and layers.tiers[row.start] == tier:
            rows[-1] = range(row.start, layer + 1)
        else:
            rows.append(range(layer, layer + 1))
    return rows


def _place_row(columns: Sequence[tuple[Spot, ...]], top: float) -> float:
    """Place the spots of a row below `top` and return its height: neighbours level, none upon another."""
    step = (WIDTH - 2 * _GUTTER - BOX_WIDTH) / (_COLUMNS - 1)
    members = {spot for column in columns for spot in column}
    for index, column in enumerate(columns):
        for spot in column:
            spot.x = _GUTTER + BOX_WIDTH / 2 + index * step
    for sweep in range(_SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            targets = [_wish(spot, members) for spot in column]
            gaps = [(_height(upper) + _height(lower)) / 2 + _SPACE for upper, lower in pairwise(column)]
            for spot, y in zip(column, spread(targets, gaps), strict=True):
                spot.y = y
    above = min(spot.y - _height(spot) / 2 for spot in members)
    below = max(spot.y + _height(spot) / 2 for spot in members)
    for spot in members:
        spot.y += top - above
    return below - above


def _wish(spot: Spot, members: set[Spot]) -> float:
    """The height at which the spot would be level with its neighbours in the row: of its own kind, if any."""
    near = [one for one in (*spot.before, *spot.after) if one in members]
    alike = [one for one in near if (one.box is None) == (spot.box is None)] or near
    return sum(one.y for one in alike) / len(alike) if alike else spot.y


def _height(spot: Spot) -> float:
    return BOX_HEIGHT if spot.box is not None else _LANE_HEIGHT
