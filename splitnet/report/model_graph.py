"""The model as an SVG picture: what runs on which tier, and what is sent between them."""

from splitnet.report import quantities
from splitnet.report.blocks import Box, Picture, picture
from splitnet.report.data import Report
from splitnet.report.graph_lines import lines, sent_labels
from splitnet.report.layers import Spot, layered
from splitnet.report.markup import Markup, element, join
from splitnet.report.places import BOX_HEIGHT, BOX_WIDTH, WIDTH, Band, place
from splitnet.report.shapes import px, rectangle
from splitnet.tiers import TIERS

_LABEL_CHARACTERS = 14


def model_graph(report: Report) -> Markup:
    """Return the picture as one `svg` element, or nothing where the report has no nodes that run on a tier."""
    drawn = picture(report)
    if not drawn.boxes:
        return Markup()
    layers = layered(drawn)
    places = place(layers)
    return element(
        "svg",
        element("title", f"The model {quantities.short(report.model)} by tier"),
        join([_band(band, drawn, report) for band in places.bands]),
        lines(places, layers),
        join([_box(spot, drawn) for layer in layers.spots for spot in layer if spot.box is not None]),
        join(sent_labels(places, layers)),
        class_="graph",
        viewBox=f"0 0 {WIDTH:.0f} {places.height:.0f}",
        role="img",
    )


def graph_caption(report: Report) -> str:
    """Return what the picture shows and what it leaves out."""
    drawn = picture(report)
    nodes = sum(len(box.nodes) for box in drawn.boxes)
    parts = [
        "Data flow from left to right and on in the next row. The bar in a box is its share of the longest time."
    ]
    if nodes > len(drawn.boxes):
        parts.append(
            f"{nodes:,} nodes are drawn as {len(drawn.boxes)} blocks of neighbours, cut where least passes."
        )
    if drawn.left_out:
        parts.append(f"Constant and shape nodes ({drawn.left_out:,}) are left out: every segment has its own.")
    crossing = [arrow for arrow in drawn.arrows if arrow.crosses]
    if crossing:
        parts.append(
            "Thick lines are sent over a link; their labels say how many bytes for a sample, and the codec."
        )
    return " ".join(parts)


def _band(band: Band, drawn: Picture, report: Report) -> Markup:
    tier = TIERS[band.tier]
    boxes = [box for box in drawn.boxes if box.tier == tier]
    nodes = sum(len(box.nodes) for box in boxes)
    machine = next((f" on {quantities.short(one.name)}" for one in report.machines if one.tier == tier), "")
    time, weights = sum(box.ms for box in boxes), sum(box.weight_bytes for box in boxes)
    count = f"{nodes:,} node{'s' if nodes != 1 else ''}"
    facts = f"{count}, {quantities.time(time)}, {quantities.size(weights)} of weights"
    return element(
        "g",
        rectangle(0, band.top, WIDTH, band.bottom - band.top, radius=10, class_="band"),
        element(
            "text",
            element("tspan", tier, class_="tier"),
            element("tspan", f"{machine}: {facts}"),
            x="14",
            y=px(band.top + 22),
        ),
        class_=f"on-{tier}",
    )


def _box(spot: Spot, drawn: Picture) -> Markup:
    assert spot.box is not None
    box = drawn.boxes[spot.box]
    left, top = spot.x - BOX_WIDTH / 2, spot.y - BOX_HEIGHT / 2
    longest = max(one.ms for one in drawn.boxes) or 1.0
    return element(
        "g",
        element("title", _describe(box)),
        rectangle(left, top, BOX_WIDTH, BOX_HEIGHT, radius=5, class_="box"),
        rectangle(left + 1, top + BOX_HEIGHT - 5, (BOX_WIDTH - 2) * box.ms / longest, 4, radius=2, class_="share"),
        element("text", _name(box), x=px(spot.x), y=px(top + 15), class_="op"),
        element("text", quantities.time(box.ms), x=px(spot.x), y=px(top + 29), class_="ms"),
        class_=f"on-{box.tier}",
    )


def _name(box: Box) -> str:
    """The operator of a node; of a block the one of most time, how often, and how many other nodes there are."""
    if len(box.nodes) == 1:
        return quantities.short(box.nodes[0].op, _LABEL_CHARACTERS)
    longest = max(box.ops, key=lambda op: (sum(node.ms for node in box.nodes if node.op == op[0]), op[1]))
    rest = len(box.nodes) - longest[1]
    count = f" \u00d7{longest[1]}" if longest[1] > 1 else ""
    tail = f"{count} +{rest}" if rest else count
    return f"{quantities.short(longest[0], _LABEL_CHARACTERS - len(tail))}{tail}"


def _describe(box: Box) -> str:
    first, last = box.nodes[0], box.nodes[-1]
    name = quantities.short(first.id, quantities.HOVER_LENGTH)
    if len(box.nodes) > 1:
        name += f" … {quantities.short(last.id, quantities.HOVER_LENGTH)}"
    ops = ", ".join(quantities.short(f"{op} \u00d7{count}" if count > 1 else op) for op, count in box.ops[:8])
    return f"{name}\n{ops}\n{quantities.time(box.ms)}, {quantities.size(box.weight_bytes)} of weights"
