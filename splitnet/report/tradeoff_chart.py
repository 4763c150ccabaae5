"""What one goal costs in another: candidates by two figures at a time, the unbeaten joined by a line."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, compress

from splitnet.report import quantities
from splitnet.report.chart import Chart, Json, View, axis, described, layout, log_ticks, note
from splitnet.report.data import Choice, Report
from splitnet.report.spread import spread

#: So many points of the front are named beside them; of more, the plan and the unsplit choices only.
_NAMED = 8
#: So many of the points that others beat are drawn, the fastest ones.
_BEATEN = 120


#: Points beyond this many times the 80th percentile, and beaten, would squeeze the others into a corner.
_FAR = 2.5
#: An axis of values above 0 that spans more than this is logarithmic.
_WIDE = 8.0
_HEIGHT_PX = 460
#: Smallest distance of two labels, px, and how far one stands beside and above its point.
_LABEL_GAP_PX, _ASIDE_PX, _ABOVE_PX = 19.0, 24, 14
_SYMBOLS = {"chosen": "star", "split": "circle", "unsplit": "diamond"}
_SIZES = {"chosen": 17, "split": 8, "unsplit": 12}


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure to weigh.

    Attributes:
        name: as people call it.
        title: of its axis, with its unit.
        of: what a choice has of it in that unit; None where unknown.
        more_is_better: as of accuracy alone.
    """

    name: str
    title: str
    of: Callable[[Choice], float | None]
    more_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """A candidate by two figures."""

    x: float
    y: float
    choice: Choice


def _percent_right(choice: Choice) -> float | None:
    return None if choice.accuracy is None else 100 * choice.accuracy


#: Accuracy comes last: it is then always upwards.
GOALS = (
    Goal("latency", "Latency of a sample, ms", lambda choice: choice.latency_ms),
    Goal("bytes", "Sent for a sample, kB", lambda choice: choice.bytes / 1000),
    Goal("energy", "Device energy for a sample, mJ", lambda choice: choice.energy_mj),
    Goal("accuracy", "Accuracy, %", _percent_right, more_is_better=True),
)


def tradeoff_chart(report: Report) -> Chart | None:
    """Return the chart, a view for each pair of goals of which two candidates know both; None without any."""
    by_name = {choice.name: choice for choice in (report.chosen, *report.pareto, *report.alternatives)}
    by_name[report.chosen.name] = report.chosen
    views = []
    for x, y in combinations(GOALS, 2):
        points = _points(x, y, by_name.values())
        if len(points) >= 2:
            views.append(_view(x, y, points))
    if not views:
        return None
    caption = (
        "The candidates by two of their figures. Those on the line are beaten by none in both, the grey ones are. "
        "The star is the plan, diamonds do not split. Hover over one for all its figures."
    )
    return Chart(
        "tradeoffs", "What it costs in other terms", caption, views, choose="Figures", height_px=_HEIGHT_PX
    )


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the points that no other beats, by the first figure; of equal points the first.

    To beat is to have at most as much of both and less of one.
    """
    found: list[int] = []
    for index in sorted(range(len(points)), key=lambda index: points[index]):
        last = points[found[-1]] if found else None
        if last is None or points[index][1] < last[1]:
            found.append(index)
    return found


def _points(x: Goal, y: Goal, choices: Iterable[Choice]) -> list[Point]:
    known = ((x.of(one), y.of(one), one) for one in choices)
    return [Point(a, b, one) for a, b, one in known if a is not None and b is not None]


def _view(x: Goal, y: Goal, points: Sequence[Point]) -> View:
    sign = -1 if y.more_is_better else 1
    best = [points[index] for index in front([(point.x, sign * point.y) for point in points])]
    kept = {point.choice.name for point in best}
    beaten = _shown([point for point in points if point.choice.name not in kept])
    named = kept if len(best) <= _NAMED else set()
    across = _scale([point.x for point in points], [point.x for point in best], x)
    upwards = _scale([point.y for point in points], [point.y for point in best], y)
    shown = [*best, *beaten]
    is_inside = [across.holds(point.x) and upwards.holds(point.y) for point in shown]
    outside = [point.choice.name for point, inside in zip(shown, is_inside, strict=True) if not inside]
    labelled = [
        point for point in compress(shown, is_inside) if point.choice.name in named or point.choice.kind != "split"
    ]
    return View(
        f"{x.name} and {y.name}",
        [_line(best), _markers(beaten, "muted", 0.55), _markers(best, "accent", 1.0)],
        layout(
            axis(x.title, showgrid=True, **across.to_json()),
            axis(y.title, **upwards.to_json()),
            annotations=[*_labels(labelled, across, upwards), *_beyond(outside)],
            showlegend=False,
        ),
    )


def _shown(beaten: Sequence[Point]) -> list[Point]:
    """The fastest of those that others beat, and all that do not split."""
    ranked = sorted(beaten, key=lambda point: point.choice.latency_ms)
    return [point for rank, point in enumerate(ranked) if rank < _BEATEN or point.choice.kind != "split"]


@dataclass(frozen=True, slots=True)
class Scale:
    """The ends of an axis, as Plotly counts: powers of ten where it is logarithmic."""

    low: float
    high: float
    is_log: bool

    def at(self, value: float) -> float:
        """Return where a value stands, counted like the ends."""
        return math.log10(value) if self.is_log else value

    def holds(self, value: float) -> bool:
        """Return whether a value lies between the ends."""
        return self.low <= self.at(value) <= self.high

    def to_json(self) -> Json:
        """Return the axis for Plotly."""
        kind: Json = {"type": "log", **log_ticks(self.low, self.high)} if self.is_log else {}
        return {"range": [self.low, self.high], **kind}


def _scale(values: Sequence[float], best: Sequence[float], goal: Goal) -> Scale:
    """An axis to the last point that is near the others or beaten by none; from 0 where that is not far."""
    usual = sorted(values)[int(0.8 * (len(values) - 1))]
    near = [value for value in values if goal.more_is_better or value <= _FAR * usual]
    lowest, highest = min(values), max([*near, *best])
    if highest > _WIDE * lowest > 0:
        margin = 0.08 * math.log10(highest / lowest)
        return Scale(math.log10(lowest) - margin, math.log10(highest) + margin, is_log=True)
    margin = 0.12 * (highest - lowest) or 0.1 * highest or 1.0
    low = -0.03 * highest if lowest < 0.4 * highest else lowest - margin
    return Scale(low, highest + margin, is_log=False)


def _labels(points: Sequence[Point], across: Scale, upwards: Scale) -> list[Json]:
    """A name beside and a little above each of these, on the side with more room, with a thin line to it."""
    rising = sorted(points, key=lambda point: point.y)
    px_of_unit = (_HEIGHT_PX - 112) / (upwards.high - upwards.low)
    heights = [(upwards.at(point.y) - upwards.low) * px_of_unit for point in rising]
    placed = spread([height + _ABOVE_PX for height in heights], [_LABEL_GAP_PX] * (len(rising) - 1))
    notes = []
    for point, height, at in zip(rising, heights, placed, strict=True):
        x = across.at(point.x)
        on_left = x > (across.low + across.high) / 2
        name = note(quantities.short(point.choice.name, 30), x=x, y=upwards.at(point.y))
        aside = {"ax": -_ASIDE_PX if on_left else _ASIDE_PX, "ay": height - at}
        anchor = {"xanchor": "right" if on_left else "left", "yanchor": "middle"}
        pointer = {"showarrow": True, "arrowhead": 0, "arrowwidth": 1, "arrowcolor": "@muted", "standoff": 7}
        notes.append(name | aside | anchor | pointer)
    return notes


def _beyond(names: Sequence[str]) -> list[Json]:
    """Which points lie beyond the axes."""
    if not names:
        return []
    listed = ", ".join(quantities.short(name, 24) for name in names[:3])
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    text = f"beyond the axes (double-click): {listed}{rest}"
    return [note(text, xref="paper", yref="paper", x=1, y=1, xanchor="right", yanchor="bottom")]


def _line(best: Sequence[Point]) -> Json:
    """Steps: what can be had of the second figure with at most so much of the first."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [point.x for point in best],
        "y": [point.y for point in best],
        "hoverinfo": "skip",
        "line": {"shape": "hv", "color": "@accent", "width": 1.5},
    }


def _markers(points: Sequence[Point], colour: str, opacity: float) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [point.x for point in points],
        "y": [point.y for point in points],
        "hovertext": [described(point.choice) for point in points],
        "hoverinfo": "text",
        "marker": {
            "symbol": [_SYMBOLS[point.choice.kind] for point in points],
            "size": [_SIZES[point.choice.kind] for point in points],
            "color": f"@{colour}",
            "opacity": opacity,
            "line": {"color": "@panel", "width": 1},
        },
    }
