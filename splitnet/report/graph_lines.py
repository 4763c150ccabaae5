"""The lines of the model's picture, and on those that are sent over a link how many bytes they are."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from splitnet.report import quantities
from splitnet.report.blocks import Arrow
from splitnet.report.layers import Join, Layers
from splitnet.report.markup import Markup, element, join
from splitnet.report.places import BOX_WIDTH, Places, Wrap
from splitnet.report.shapes import px, rectangle
from splitnet.report.spread import spread

_RADIUS = 6.0
#: From the side of a box to the outermost line that turns there.
_TURN = 24.0
#: So many sent lines of a tier have a label each.
_LABELLED = 3


def lines(places: Places, layers: Layers) -> Markup:
    """Return all lines; those that are being sent come last and lie above the others."""
    drawn = [(_is_sent(line, layers), _straight(line)) for line in places.straight]
    drawn += [(_is_sent(wrap.join, layers), _back(wrap)) for wrap in places.wraps]
    drawn.sort(key=lambda pair: pair[0])
    return join([element("path", class_="sent" if sent else "line", d=path) for sent, path in drawn])


def _is_sent(line: Join, layers: Layers) -> bool:
    """Whether what crosses is on its way: until it has reached the next tier."""
    here = layers.tiers[line.source.layer]
    return line.crosses and (line.starts_at == here or layers.tiers[line.target.layer] != here)


def _ends(line: Join) -> tuple[float, float]:
    """Where a line leaves its source and where it reaches its target, as x; a lane is as wide as a box."""
    return line.source.x + BOX_WIDTH / 2, line.target.x - BOX_WIDTH / 2


def _through(line: Join) -> str:
    """The part of a path within its source, which a box hides and a lane needs."""
    y = px(line.source.y)
    return f"M{px(line.source.x - BOX_WIDTH / 2)} {y}H{px(line.source.x + BOX_WIDTH / 2)}"


def _straight(line: Join) -> str:
    start, end = _ends(line)
    middle = px((start + end) / 2)
    y, to = px(line.source.y), px(line.target.y)
    return f"{_through(line)}C{middle} {y} {middle} {to} {px(end)} {to}"


def _back(wrap: Wrap) -> str:
    """Right to the gutter, down between the rows, back to the left, down and into the next row."""
    start, end = _ends(wrap.join)
    right, left = _wrap_ends(wrap)
    y, to = wrap.join.source.y, wrap.join.target.y
    corners = [(start, y), (right, y), (right, wrap.y), (left, wrap.y), (left, to), (end, to)]
    return f"{_through(wrap.join)}{_rounded(corners)}"


def _wrap_ends(wrap: Wrap) -> tuple[float, float]:
    """Where a line goes down on the right and on the left, as x: neighbours a little apart."""
    start, end = _ends(wrap.join)
    inset = 4.0 + 3.0 * (wrap.number % 5)
    return start + _TURN - inset, end - _TURN + inset


def _rounded(points: Sequence[tuple[float, float]]) -> str:
    """The rest of a path, along horizontal and vertical lines whose corners are round."""
    path = [f"L{px(points[0][0])} {px(points[0][1])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        near, far = _towards(corner, before), _towards(corner, after)
        path.append(f"L{px(near[0])} {px(near[1])}Q{px(corner[0])} {px(corner[1])} {px(far[0])} {px(far[1])}")
    path.append(f"L{px(points[-1][0])} {px(points[-1][1])}")
    return "".join(path)


def _towards(corner: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """The point at most a radius, or half the way, from the corner to the other."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = max(abs(dx), abs(dy))
    step = min(_RADIUS, length / 2) / length if length else 0.0
    return corner[0] + dx * step, corner[1] + dy * step


def sent_labels(places: Places, layers: Layers) -> list[Markup]:
    """Return a label on each line that is sent from a tier to the next; of many at one place, one for all."""
    labels = []
    for band in places.bands:
        lanes = {
            wrap.join.arrows: wrap
            for wrap in places.wraps
            if wrap.join.crosses and wrap.leaves_band and layers.tiers[wrap.join.source.layer] == band.tier
        }
        if len(lanes) > _LABELLED:
            every = tuple(arrow for arrows in lanes for arrow in arrows)
            wrap = list(lanes.values())[len(lanes) // 2]
            labels.append(_label(f"{len(lanes)} results, {_amount(every)}", sum(_wrap_ends(wrap)) / 2, wrap.y))
        else:
            labels += _labels(lanes)
    return labels


def _labels(lanes: Mapping[tuple[Arrow, ...], Wrap]) -> list[Markup]:
    """Labels in the middle of their lines, moved apart."""
    middle = sorted((sum(_wrap_ends(wrap)) / 2, wrap.y, _amount(arrows)) for arrows, wrap in lanes.items())
    widths = [_label_width(text) for _, _, text in middle]
    gaps = [(low + high) / 2 + 8 for low, high in pairwise(widths)]
    places = spread([x for x, _, _ in middle], gaps)
    shift = max(0.0, widths[0] / 2 - places[0]) if places else 0.0
    return [_label(text, x + shift, y) for (_, y, text), x in zip(middle, places, strict=True)]


def _amount(arrows: Sequence[Arrow]) -> str:
    """Bytes sent and codecs. Readers of one box's results read the same tensors: the most counts, not the sum."""
    most: dict[int, int] = {}
    for arrow in arrows:
        most[arrow.source] = max(most.get(arrow.source, 0), arrow.nbytes)
    codecs = sorted({codec for arrow in arrows for codec in arrow.codecs})
    return quantities.size(sum(most.values())) + (f" as {', '.join(codecs)}" if codecs else "")


def _label_width(text: str) -> float:
    return 18 + 7.2 * len(text)


def _label(text: str, x: float, y: float) -> Markup:
    width = _label_width(text)
    box = rectangle(x - width / 2, y - 11, width, 22, radius=11, class_="wire")
    return element("g", box, element("text", text, x=px(x), y=px(y + 4), class_="bytes"))
