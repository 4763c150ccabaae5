"""Predicted against measured latency of the candidates whose segments were run."""

from collections.abc import Sequence

from splitnet.report import quantities
from splitnet.report.chart import Chart, Json, View, axis, described, layout
from splitnet.report.data import Choice, Report
from splitnet.report.markup import plot_text

_ROW_PX = 30


def measured_chart(report: Report) -> Chart | None:
    """Return the chart, the fastest on top; None where nothing was measured."""
    pairs = [(choice.measured_ms, choice) for choice in report.measured if choice.measured_ms is not None]
    if not pairs:
        return None
    # Plotly counts categories from below.
    pairs.sort(key=lambda pair: pair[0], reverse=True)
    off = [abs(ms / choice.latency_ms - 1) for ms, choice in pairs if choice.latency_ms > 0]
    mean = f" The prediction is off by {quantities.share(sum(off) / len(off))} on average." if off else ""
    caption = f"Candidates whose real segments were run, the fastest on top; the star is the plan.{mean}"
    plan = report.chosen.name
    return Chart(
        "measured", "Predicted and measured", caption, [_view(pairs, plan)], height_px=140 + _ROW_PX * len(pairs)
    )


def _view(pairs: Sequence[tuple[float, Choice]], plan: str) -> View:
    rows = list(range(len(pairs)))
    choices = [choice for _, choice in pairs]
    names = [plot_text(quantities.short(choice.name, 34)) for choice in choices]
    hollow: Json = {"symbol": "circle-open", "size": 11, "color": "@ink", "line": {"width": 2}}
    solid: Json = {
        "symbol": ["star" if one.name == plan else "circle" for one in choices],
        "size": [15 if one.name == plan else 11 for one in choices],
        "color": "@accent",
        "opacity": 1,
    }
    traces = [
        _gaps(pairs),
        _dots("predicted", [choice.latency_ms for choice in choices], choices, hollow),
        _dots("measured", [ms for ms, _ in pairs], choices, solid),
    ]
    y = axis("", tickvals=rows, ticktext=names, range=[-0.7, len(rows) - 0.3], showgrid=False)
    return View("measured", traces, layout(axis("Latency of a sample, ms", showgrid=True, rangemode="tozero"), y))


def _gaps(pairs: Sequence[tuple[float, Choice]]) -> Json:
    """A line from each prediction to its measurement; null lifts the pen."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [value for ms, choice in pairs for value in (choice.latency_ms, ms, None)],
        "y": [value for row in range(len(pairs)) for value in (row, row, None)],
        "hoverinfo": "skip",
        "showlegend": False,
        "line": {"color": "@muted", "width": 2},
    }


def _dots(name: str, values: Sequence[float], choices: Sequence[Choice], marker: Json) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": list(values),
        "y": list(range(len(values))),
        "hovertext": [described(choice) for choice in choices],
        "hoverinfo": "text",
        "marker": marker,
    }
