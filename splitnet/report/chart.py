"""A chart as data: Plotly traces and layouts as JSON, with colours by name, for any theme."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from splitnet.report import quantities
from splitnet.report.data import Choice
from splitnet.report.markup import plot_text
from splitnet.report.stages import STAGE, spoken, spoken_codecs

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class View:
    """One state of a chart, such as one codec: Plotly's traces and layout.

    A colour is "@" and the name of a colour in page.css; page.js puts the theme's value there.
    """

    name: str
    traces: Sequence[Json]
    layout: Json

    def to_json(self) -> Json:
        """Return what page.js draws."""
        return {"traces": self.traces, "layout": self.layout}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its words.

    Attributes:
        name: unique on the page.
        title: as a heading.
        caption: what is seen, for those who do not see it as well; one paragraph.
        views: at least one; the first is shown at first.
        choose: what the views differ in, such as "Codec".
        height_px: on the screen.
    """

    name: str
    title: str
    caption: str
    views: Sequence[View]
    choose: str = ""
    height_px: int = 440


def layout(x: Json, y: Json, **more: object) -> Json:
    """Return a layout with these axes."""
    return {
        "xaxis": _AXIS | {"showgrid": False} | x,
        "yaxis": _AXIS | {"rangemode": "tozero"} | y,
        "font": {"family": "inherit", "size": 13, "color": "@ink"},
        "paper_bgcolor": "@panel",
        "plot_bgcolor": "@panel",
        "hoverlabel": {"align": "left", "bgcolor": "@raised", "bordercolor": "@line", "font": {"color": "@ink"}},
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.07,
            "yanchor": "bottom",
            "traceorder": "normal",
        },
        "margin": {"l": 64, "r": 24, "t": 56, "b": 56},
        "hovermode": "closest",
        **more,
    }


_AXIS: Json = {
    "gridcolor": "@grid",
    "linecolor": "@line",
    "zeroline": False,
    "tickfont": {"size": 12, "color": "@muted"},
    "automargin": True,
}


def axis(title: str, **more: object) -> Json:
    """Return an axis with a title."""
    return {"title": {"text": plot_text(title), "standoff": 12, "font": {"size": 13, "color": "@muted"}}, **more}


def log_ticks(low: float, high: float) -> Json:
    """Return ticks from 10**low to 10**high: powers of ten, and the more between them the less the axis spans."""
    factors = (1, 1.5, 2, 3, 4, 5, 7) if high - low < 0.7 else (1, 2, 5) if high - low < 2 else (1,)
    decades = range(math.floor(low), math.ceil(high) + 1)
    values = [factor * 10.0**decade for decade in decades for factor in factors]
    return {"tickvals": values, "ticktext": [quantities.number(value) for value in values]}


def note(text: str, **more: object) -> Json:
    """Return an annotation without an arrow; `text` is shown as it is."""
    return {"text": plot_text(text), "showarrow": False, "font": {"size": 12, "color": "@ink"}, **more}


def line(**more: object) -> Json:
    """Return a shape that is a line across the plot, below the traces."""
    return {"type": "line", "layer": "below", "line": {"color": "@muted", "width": 1, "dash": "dot"}, **more}


def hover(name: str, *facts: str) -> str:
    """Return a hover text: the name in bold, a fact a line."""
    title, *rest = (plot_text(quantities.short(text, quantities.HOVER_LENGTH)) for text in (name, *facts) if text)
    return "<br>".join((f"<b>{title}</b>", *rest))


def described(choice: Choice) -> str:
    """Return everything about a choice as a hover text."""
    measured = f"measured {quantities.time(choice.measured_ms)}" if choice.measured_ms is not None else ""
    return hover(
        choice.name,
        f"on {spoken(choice.tiers)}" + (f", codec {spoken_codecs(choice.codecs)}" if choice.codecs else ""),
        f"predicted {quantities.time(choice.latency_ms)}",
        measured,
        f"{quantities.size(choice.bytes)} sent",
        f"{quantities.energy(choice.energy_mj)} on the device" if choice.energy_mj is not None else "",
        f"accuracy {quantities.share(choice.accuracy)}" if choice.accuracy is not None else "",
        *(f"{STAGE[name].label} {quantities.time(ms)}" for name, ms in choice.stages if ms > 0),
        choice.note,
    )
