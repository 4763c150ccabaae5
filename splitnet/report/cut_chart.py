"""The latency of a split at every cut, stage upon stage, beside not splitting."""

from bisect import bisect_left
from collections.abc import Sequence

from splitnet.report import quantities
from splitnet.report.chart import Chart, Json, View, axis, hover, layout, line, note
from splitnet.report.data import Choice, CutPoint, Report
from splitnet.report.markup import plot_text
from splitnet.report.spread import spread
from splitnet.report.stages import STAGE, STAGES, spoken
from splitnet.report.thin import thinned

#: Up to so many cuts are named below the axis; more are numbered.
_NAMED = 32
#: Distances of the numbers below the axis.
_STEPS = tuple(factor * 10**power for power in range(9) for factor in (1, 2, 5))
#: Smallest distance of two labels, as a share of the plot's height.
_LABEL_GAP = 0.055
#: White on the stage's colour, as in page.css.
_PATTERN: Json = {"fillmode": "overlay", "size": 6, "solidity": 0.3, "fgcolor": "@panel"}
_CAPTION = (
    "Each bar is the model split in two at that cut, on the best pair of tiers, its time stacked in the order in "
    "which a sample meets the stages. Lines are the plan and the choices that do not split."
)


def cut_chart(report: Report) -> Chart | None:
    """Return the chart, a view for each codec, the chosen plan's first; None without cuts."""
    sendable = [cut for cut in report.cuts if cut.sendable]
    if not sendable:
        return None
    positions = thinned(report.cuts, report.chosen_positions)
    fastest = min(sendable, key=lambda cut: cut.latency_ms)
    codecs = dict.fromkeys((*report.chosen.codecs, fastest.codec, *(cut.codec for cut in report.cuts)))
    present = {cut.codec for cut in sendable}
    views = [_view(report, codec, positions) for codec in codecs if codec in present]
    return Chart(
        "cuts", "Where to cut", _caption(report, positions), views, choose="Codec at the cut", height_px=480
    )


def _view(report: Report, codec: str, positions: Sequence[int]) -> View:
    by_position = {cut.position: cut for cut in report.cuts if cut.codec == codec}
    column = {position: index for index, position in enumerate(positions)}
    shown = [by_position[position] for position in positions if position in by_position]
    sendable = [cut for cut in shown if cut.sendable]
    top = _top(report, sendable)
    traces = [trace for stage in STAGES if (trace := _bars(stage.name, sendable, column))]
    traces.append(_hovers(sendable, column))
    barred = [column[cut.position] for cut in shown if not cut.sendable]
    if barred:
        traces.append(_unsendable(barred))
    lines = _references(report, top)
    view = layout(
        _positions_axis(positions, report.cuts),
        axis("Latency of a sample, ms", range=[0, top]),
        barmode="stack",
        bargap=0.25 if len(positions) <= _NAMED else 0,
        hovermode="x",
        shapes=[shape for shape, _ in lines] + _cut_lines(report, column),
        annotations=[label for _, label in lines] + _cut_labels(report, column),
        margin={"l": 64, "r": 190, "t": 64, "b": 64},
    )
    return View(codec, traces, view)


def _top(report: Report, cuts: Sequence[CutPoint]) -> float:
    """Where the latency axis ends: wide cuts over a slow link would leave nothing to see of the others."""
    references = [report.chosen.latency_ms, *(one.latency_ms for one in _unsplit(report))]
    times = [cut.latency_ms for cut in cuts]
    return 1.08 * min(max(times + references), max(4 * report.chosen.latency_ms, 1.6 * min(times)))


def _bars(stage: str, cuts: Sequence[CutPoint], column: dict[int, int]) -> Json | None:
    style = STAGE[stage]
    times = [dict(cut.stages).get(stage, 0.0) for cut in cuts]
    if not any(times):
        return None
    return {
        "type": "bar",
        "name": style.label,
        "x": [column[cut.position] for cut in cuts],
        "y": [round(ms, 4) for ms in times],
        "hoverinfo": "skip",
        "marker": {
            "color": f"@{style.colour}",
            "line": {"width": 0},
            "pattern": _PATTERN | {"shape": style.pattern},
        },
    }


def _hovers(cuts: Sequence[CutPoint], column: dict[int, int]) -> Json:
    """Unseen points at the top of the bars, which carry one hover text for the whole stack."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [column[cut.position] for cut in cuts],
        "y": [round(cut.latency_ms, 4) for cut in cuts],
        "hovertext": [_describe(cut) for cut in cuts],
        "hoverinfo": "text",
        "showlegend": False,
        "marker": {"opacity": 0},
    }


def _describe(cut: CutPoint) -> str:
    many = f"{len(cut.tensors)} tensors" if len(cut.tensors) != 1 else ""
    return hover(
        cut.label,
        f"cut {cut.position}" + (f", after {cut.op}" if cut.op else ", the input"),
        f"{quantities.time(cut.latency_ms)}, {quantities.size(cut.bytes)} sent as {cut.codec}",
        many,
        f"on {spoken(cut.tiers)}" if cut.tiers else "",
        *(f"{STAGE[name].label} {quantities.time(ms)}" for name, ms in cut.stages if ms > 0),
    )


def _unsendable(columns: Sequence[int]) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "cannot be sent",
        "x": list(columns),
        "y": [0] * len(columns),
        "hoverinfo": "skip",
        "cliponaxis": False,
        "marker": {"symbol": "x-thin", "size": 5, "color": "@muted", "line": {"width": 1, "color": "@muted"}},
    }


def _positions_axis(positions: Sequence[int], cuts: Sequence[CutPoint]) -> Json:
    count = len(positions)
    if count <= _NAMED:
        labels = {cut.position: quantities.short(cut.label, 14) for cut in cuts}
        ticks = list(range(count))
        text = [plot_text(labels[position]) for position in positions]
        title = "Cut, from the model's input to its answer"
    else:
        step = next(step for step in _STEPS if positions[-1] < 14 * step)
        marks = range(0, positions[-1] + 1, step)
        ticks = [bisect_left(positions, mark) for mark in marks]
        text = [f"{mark:,}" for mark in marks]
        title = "Number of the cut, from the model's input to its answer"
    angle = -45 if count <= _NAMED else 0
    return axis(title, tickvals=ticks, ticktext=text, tickangle=angle, range=[-0.7, count - 0.3])


def _references(report: Report, top: float) -> list[tuple[Json, Json]]:
    """A line across the plot for the plan and for each unsplit choice, with a label on the right."""
    choices = sorted((report.chosen, *_unsplit(report)), key=lambda one: one.latency_ms)
    heights = [min(one.latency_ms, top) for one in choices]
    labels = spread(heights, [_LABEL_GAP * top] * (len(choices) - 1))
    excess = max(0.0, labels[-1] - top)
    return [_reference(one, at - excess, report, top) for one, at in zip(choices, labels, strict=True)]


def _reference(choice: Choice, label_at: float, report: Report, top: float) -> tuple[Json, Json]:
    plan = choice is report.chosen
    name = "the plan" if plan else quantities.short(choice.name, 16)
    above = " ↑" if choice.latency_ms > top else ""
    colour = "@accent" if plan else "@ink"
    style = {"color": colour, "width": 2 if plan else 1.2, "dash": "solid" if plan else "dash"}
    height = choice.latency_ms
    # A line above the plot is drawn outside of it: the label with its arrow stands for it.
    shape = line(xref="paper", x0=0, x1=1, yref="y", y0=height, y1=height, line=style, visible=not above)
    shape["layer"] = "above"
    text = note(f"{name} {quantities.time(height)}{above}", xref="paper", x=1.01, y=label_at, xanchor="left")
    text["font"] = {"size": 12, "color": colour}
    return shape, text


def _cut_lines(report: Report, column: dict[int, int]) -> list[Json]:
    style = {"color": "@accent", "width": 1.5, "dash": "dot"}
    columns = [column[position] for position in report.chosen_positions if position in column]
    return [line(x0=at, x1=at, yref="paper", y0=0, y1=1, line=style) for at in columns]


def _cut_labels(report: Report, column: dict[int, int]) -> list[Json]:
    columns = [column[position] for position in report.chosen_positions if position in column]
    names = ("chosen cut",) if len(columns) == 1 else tuple(f"cut {number + 1}" for number in range(len(columns)))
    font = {"size": 12, "color": "@accent"}
    return [
        note(f"▼ {name}", x=at, yref="paper", y=1, yanchor="bottom", font=font)
        for at, name in zip(columns, names, strict=True)
    ]


def _unsplit(report: Report) -> list[Choice]:
    return [one for one in report.alternatives if one.kind == "unsplit" and one.name != report.chosen.name]


def _caption(report: Report, positions: Sequence[int]) -> str:
    total = len({cut.position for cut in report.cuts})
    best = min((cut for cut in report.cuts if cut.sendable), key=lambda cut: cut.latency_ms)
    parts = [_CAPTION]
    figures = f"{quantities.time(best.latency_ms)} with {quantities.size(best.bytes)}"
    parts.append(f"The fastest is “{quantities.short(best.label)}” sent as {best.codec}: {figures}.")
    if any(cut.sendable and cut.latency_ms > 4 * report.chosen.latency_ms for cut in report.cuts):
        parts.append("Where bars end at the top they are longer; double-click to see them whole.")
    barred = total - len({cut.position for cut in report.cuts if cut.sendable})
    if barred:
        parts.append(f"{barred:,} of {total:,} cuts cannot be sent; crosses mark them.")
    if len(positions) < total:
        parts.append(
            f"Of {total:,} cuts {len(positions)} are drawn: of one tensor or a local minimum, and of each stretch "
            "of neighbours the fastest."
        )
    return " ".join(parts)
