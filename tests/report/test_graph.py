"""The picture of the model: nothing lost, nothing upon another, lines forward only."""

from collections import Counter
from dataclasses import replace
from itertools import combinations
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.report import GraphEdge, GraphNode, Report
from splitnet.report.blocks import MAX_NODES, Arrow, Box, Picture, picture
from splitnet.report.layers import layered
from splitnet.report.model_graph import graph_caption, model_graph
from splitnet.report.places import BOX_HEIGHT, BOX_WIDTH, WIDTH, place
from splitnet.tiers import TIERS
from tests.report import demo


def test_a_small_model_is_drawn_node_by_node() -> None:
    report = demo.small_split()
    drawn = picture(report)
    assert [len(box.nodes) for box in drawn.boxes] == [1] * (len(report.nodes) - 1)
    assert drawn.left_out == 1


def test_a_large_model_is_drawn_in_blocks_that_keep_every_node_and_tier() -> None:
    report = demo.large()
    drawn = picture(report)
    assert 30 <= len(drawn.boxes) <= MAX_NODES // 2
    ids = [node.id for box in drawn.boxes for node in box.nodes]
    assert ids == [node.id for node in report.nodes if node.tier is not None]
    assert all({node.tier for node in box.nodes} == {box.tier} for box in drawn.boxes)
    assert sum(box.ms for box in drawn.boxes) == pytest.approx(sum(node.ms for node in report.nodes))


def test_blocks_end_where_little_passes() -> None:
    """Chains of 24 nodes, each in two strands of 12 that only meet at the end."""
    nodes, edges = [], []
    for index in range(480):
        nodes.append(GraphNode(f"n{index}", "Op", "device", 1.0, 0, "data"))
        inside = index % 24
        before = [index - 1] if inside in (0, 1) else [index - 2] if inside < 23 else [index - 1, index - 2]
        edges += [GraphEdge(f"n{one}", f"n{index}", 4, crosses=False) for one in before if one >= 0]
    drawn = picture(replace(demo.small_split(), nodes=tuple(nodes), edges=tuple(edges)))
    pairs = Counter((arrow.source, arrow.target) for arrow in drawn.arrows)
    assert all(target == source + 1 for source, target in pairs)


def test_tensors_of_one_source_are_counted_once() -> None:
    nodes = [GraphNode(name, "Op", "device" if name == "a" else "cloud", 1.0, 0, "data") for name in "abc"]
    edges = [
        GraphEdge("a", "b", 100, crosses=True, codec="u8"),
        GraphEdge("a", "c", 100, crosses=True, codec="u8"),
    ]
    report = replace(demo.small_split(), nodes=tuple(nodes), edges=tuple(edges))
    labels = texts(report)
    assert "100\u00a0B as u8" in labels


def texts(report: Report) -> list[str]:
    root = ET.fromstring(model_graph(report))  # noqa: S314 - our own markup
    return ["".join(text.itertext()) for text in root.iter("text")]


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    tiers = sorted(draw(st.lists(st.sampled_from(TIERS), min_size=1, max_size=30)), key=TIERS.index)
    boxes = tuple(
        Box(tier, (GraphNode(f"n{index}", "Op", tier, 1.0, 0, "data"),)) for index, tier in enumerate(tiers)
    )
    pairs = list(combinations(range(len(boxes)), 2))
    chosen = draw(st.sets(st.sampled_from(pairs), max_size=50)) if pairs else set()
    arrows = tuple(Arrow(low, high, 1, tiers[low] != tiers[high], ("u8",)) for low, high in sorted(chosen))
    return Picture(boxes, arrows, 0)


@settings(max_examples=60, deadline=None)
@given(pictures())
def test_boxes_stand_apart_and_lines_join_neighbours(drawn: Picture) -> None:
    layers = layered(drawn)
    places = place(layers)
    spots = [spot for layer in layers.spots for spot in layer if spot.box is not None]
    assert sorted(spot.box for spot in spots if spot.box is not None) == list(range(len(drawn.boxes)))
    for one, other in combinations(spots, 2):
        apart = abs(one.x - other.x) >= BOX_WIDTH or abs(one.y - other.y) >= BOX_HEIGHT
        assert apart, (one, other)
    assert all(join.target.layer == join.source.layer + 1 for join in layers.joins)
    assert len(places.straight) + len(places.wraps) == len(layers.joins)
    for spot in spots:
        assert spot.box is not None
        band = next(band for band in places.bands if TIERS[band.tier] == drawn.boxes[spot.box].tier)
        assert band.top < spot.y - BOX_HEIGHT / 2 < spot.y + BOX_HEIGHT / 2 < band.bottom
        assert 0 < spot.x - BOX_WIDTH / 2 < spot.x + BOX_WIDTH / 2 < WIDTH


@settings(max_examples=60, deadline=None)
@given(pictures())
def test_every_arrow_can_be_followed(drawn: Picture) -> None:
    layers = layered(drawn)
    reached: set[tuple[int, int]] = set()
    for start in (spot for layer in layers.spots for spot in layer if spot.box is not None):
        open_ends = [join.target for join in layers.joins if join.source is start]
        while open_ends:
            spot = open_ends.pop()
            if spot.box is not None and start.box is not None:
                reached.add((start.box, spot.box))
            else:
                open_ends += spot.after
    assert reached == {(arrow.source, arrow.target) for arrow in drawn.arrows}


@pytest.mark.parametrize("make", [demo.small_split, demo.large, demo.all_device])
def test_the_picture_is_sound_markup_and_names_tiers_and_bytes(make: object) -> None:
    assert callable(make)
    report = make()
    labels = texts(report)
    for tier in {node.tier for node in report.nodes if node.tier}:
        assert any(label.startswith(f"{tier} on ") for label in labels)
    crossing = {edge.source: edge.nbytes for edge in report.edges if edge.crosses}
    assert any(" as " in label for label in labels) == bool(crossing)


def test_the_caption_counts_what_is_not_drawn() -> None:
    assert "(1) are left out" in graph_caption(demo.small_split())
    assert "blocks" in graph_caption(demo.large())


def test_without_nodes_there_is_no_picture() -> None:
    assert model_graph(replace(demo.small_split(), nodes=(), edges=())) == ""
