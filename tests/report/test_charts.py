"""Charts: what Plotly accepts, what is drawn of much data, and what is left out of little."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.report import CutPoint, Report
from splitnet.report.bandwidth_chart import bandwidth_chart
from splitnet.report.chart import Chart
from splitnet.report.cut_chart import cut_chart
from splitnet.report.measured_chart import measured_chart
from splitnet.report.spread import spread
from splitnet.report.thin import MAX_CUTS, thinned
from splitnet.report.tradeoff_chart import front, tradeoff_chart
from tests.report import demo

CHARTS: tuple[Callable[[Report], Chart | None], ...] = (cut_chart, tradeoff_chart, bandwidth_chart, measured_chart)


def coloured(value: Any) -> Any:
    """`value` with a colour for each colour's name, as page.js puts them."""
    if isinstance(value, dict):
        return {key: "#123456" if key.endswith("color") else coloured(item) for key, item in value.items()}
    return [coloured(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("make", CHARTS)
@pytest.mark.parametrize("example", [demo.small_split, demo.large, demo.all_device])
def test_plotly_knows_every_property(
    make: Callable[[Report], Chart | None], example: Callable[[], Report]
) -> None:
    chart = make(example())
    assert chart is not None
    for view in chart.views:
        json.dumps(view.to_json(), allow_nan=False)
        go.Figure(coloured(list(view.traces)), coloured(view.layout))


@pytest.mark.parametrize("make", CHARTS)
def test_without_data_there_is_no_chart(make: Callable[[Report], Chart | None]) -> None:
    full = demo.small_split()
    empty = replace(full, cuts=(), pareto=(), alternatives=(), curves=(), takeovers=(), measured=())
    assert make(empty) is None


def test_bars_of_a_cut_add_up_and_the_chosen_codec_comes_first() -> None:
    report = demo.small_split()
    chart = cut_chart(report)
    assert chart is not None
    assert chart.views[0].name == report.chosen.codecs[0]
    view = chart.views[0]
    bars = [trace for trace in view.traces if trace["type"] == "bar"]
    assert {trace["name"] for trace in bars} == {
        "device",
        "device exit",
        "link device-edge",
        "link edge-cloud",
        "cloud",
    }
    sendable = [cut for cut in report.cuts if cut.sendable and cut.codec == view.name]
    totals = [sum(column) for column in zip(*(trace["y"] for trace in bars), strict=True)]
    assert totals == pytest.approx([cut.latency_ms for cut in sendable], abs=1e-3)


def test_labels_beside_the_plot_do_not_cover_one_another() -> None:
    chart = cut_chart(demo.all_device())
    assert chart is not None
    layout: Any = chart.views[0].layout
    top = layout["yaxis"]["range"][1]
    heights = sorted(label["y"] for label in layout["annotations"] if label.get("xanchor") == "left")
    assert len(heights) == 3
    assert all(high - low >= 0.05 * top for low, high in pairwise(heights))


def cut(position: int, latency_ms: float, width: int, codec: str = "none") -> CutPoint:
    tensors = tuple(f"t{number}" for number in range(width))
    return CutPoint(position, f"cut {position}", "Op", tensors, codec, (), latency_ms, 1.0, sendable=True)


def test_few_cuts_are_all_drawn() -> None:
    cuts = [cut(position, 1.0, 3) for position in range(MAX_CUTS)]
    assert thinned(cuts, ()) == tuple(range(MAX_CUTS))


def test_wide_cuts_go_first_but_local_minima_stay() -> None:
    cuts = [cut(position, 5.0, 1 if position % 2 else 2) for position in range(MAX_CUTS + 100)]
    cuts[100] = cut(100, 1.0, 2)
    shown = thinned(cuts, ())
    assert set(shown) == {100} | {position for position in range(MAX_CUTS + 100) if position % 2}


def test_of_very_many_cuts_the_best_and_the_kept_stay() -> None:
    draw = random.Random(5)  # noqa: S311 - test data
    cuts = [cut(position, draw.uniform(5, 50), 1) for position in range(5000)]
    cuts[1234] = cut(1234, 1.0, 1)
    shown = thinned(cuts, (4321,))
    assert {1234, 4321} <= set(shown)
    assert len(shown) <= MAX_CUTS + 1
    assert max(high - low for low, high in pairwise(shown)) <= 2 * 5000 / MAX_CUTS


def test_a_cut_of_a_small_tensor_by_any_codec_keeps_its_place_for_all() -> None:
    report = demo.large()
    chart = cut_chart(report)
    assert chart is not None
    axes = [view.layout["xaxis"] for view in chart.views]
    assert all(axis == axes[0] for axis in axes)
    assert "are drawn" in chart.caption


POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)


@given(POINTS)
def test_the_front_is_what_nothing_beats_the_first_of_equals(points: list[tuple[int, int]]) -> None:
    def beaten(one: tuple[int, int]) -> bool:
        return any(other != one and other[0] <= one[0] and other[1] <= one[1] for other in points)

    found = [points[index] for index in front(points)]
    assert found == sorted({one for one in points if not beaten(one)})
    assert all(points.index(points[index]) == index for index in front(points))


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=12), st.data())
def test_spread_keeps_distances_and_moves_nothing_without_need(targets: list[float], data: st.DataObject) -> None:
    size = len(targets) - 1
    gaps = data.draw(st.lists(st.floats(0, 20), min_size=size, max_size=size))
    placed = spread(targets, gaps)
    pairs = list(zip(placed, placed[1:], gaps, strict=False))
    assert all(high - low >= gap - 1e-6 for low, high, gap in pairs)
    assert sum(placed) == pytest.approx(sum(targets), abs=1e-6)
    if all(high - low >= gap for low, high, gap in zip(targets, targets[1:], gaps, strict=False)):
        assert placed == pytest.approx(targets)


def test_the_tradeoffs_skip_what_is_unknown() -> None:
    report = demo.small_split()
    plain = [replace(one, energy_mj=None, accuracy=None) for one in report.alternatives]
    blind = replace(
        report,
        alternatives=tuple(plain),
        pareto=(),
        chosen=replace(report.chosen, energy_mj=None, accuracy=None),
    )
    chart = tradeoff_chart(blind)
    assert chart is not None
    assert [view.name for view in chart.views] == ["latency and bytes"]
