"""Latency of plans over the bandwidth of a link, and which of them is the best where."""

import math
from collections.abc import Sequence
from itertools import pairwise

from splitnet.report import quantities
from splitnet.report.bandwidth import reigns, swept_link
from splitnet.report.chart import Chart, Json, View, axis, hover, layout, line, log_ticks, note
from splitnet.report.data import BandwidthCurve, Link, Report
from splitnet.report.spread import spread

#: (colour, dash) of the named curves in turn, the plan's first; beyond them labels alone tell them apart.
_STYLES = (
    ("accent", "solid"),
    ("series-1", "longdashdot"),
    ("series-2", "dash"),
    ("series-3", "dot"),
    ("series-4", "dashdot"),
    ("series-5", "longdash"),
)
#: Smallest distance of two labels, as a share of the plot's height.
_LABEL_GAP = 0.055
#: So many curves that are never the best are drawn.
_OTHERS = 20


def bandwidth_chart(report: Report) -> Chart | None:
    """Return the chart; None without curves."""
    link = swept_link(report)
    if not report.curves or link is None:
        return None
    caption = (
        f"Latency of each plan over the bandwidth of the {link.name} link; both axes are logarithmic. The broad "
        "band is the best that could be had, diamonds mark where another plan takes over, and the dotted line is "
        "today's bandwidth. Grey curves are never the best."
    )
    return Chart("bandwidth", "If the network changes", caption, [_view(report, link)])


def _view(report: Report, link: Link) -> View:
    best = {one.plan_name for one in reigns(report)}
    unsplit = {one.name for one in (report.chosen, *report.alternatives) if one.kind != "split"}
    named = [curve for curve in report.curves if curve.name in best | unsplit]
    named.sort(key=lambda curve: curve.name != report.chosen.name)
    others = [curve for curve in report.curves if curve.name not in best | unsplit]
    others = sorted(others, key=lambda curve: min(curve.latency_ms))[:_OTHERS]
    low, high = _height(report, named)
    traces = [_envelope(report.curves), *(_curve(curve, "muted", "solid", width=0.8) for curve in others)]
    labels = []
    for number, (curve, at) in enumerate(zip(named, _label_heights(named, low, high), strict=True)):
        colour, dash = _STYLES[number % len(_STYLES)]
        traces.append(_curve(curve, colour, dash, width=2))
        text = note(quantities.short(curve.name, 24), xref="paper", x=1.01, y=at, xanchor="left")
        labels.append(text | {"font": {"size": 12, "color": f"@{colour}"}})
    traces.append(_takeovers(report))
    swept = report.curves[0].bandwidths_bps
    inside = swept[0] <= link.bandwidth_bps <= swept[-1]
    today = line(x0=link.bandwidth_bps, x1=link.bandwidth_bps, yref="paper", y0=0, y1=1)
    return View(
        "bandwidth",
        traces,
        layout(
            _bandwidth_axis(link.name, swept),
            axis("Latency of a sample, ms", type="log", range=[low, high], **log_ticks(low, high)),
            shapes=[today] if inside else [],
            annotations=labels + ([_today(link)] if inside else []),
            showlegend=False,
            margin={"l": 64, "r": 190, "t": 40, "b": 56},
        ),
    )


def _bandwidth_axis(name: str, swept: Sequence[float]) -> Json:
    decades = range(math.ceil(math.log10(swept[0]) - 1e-9), math.floor(math.log10(swept[-1]) + 1e-9) + 1)
    ticks = [10.0**decade for decade in decades]
    text = [quantities.rate(tick) for tick in ticks]
    return axis(f"Bandwidth of the {name} link", type="log", tickvals=ticks, ticktext=text)


def _height(report: Report, named: Sequence[BandwidthCurve]) -> tuple[float, float]:
    """The latency axis as powers of ten: from the best of all to well above the slowest takeover."""
    best = [min(times) for times in zip(*(curve.latency_ms for curve in report.curves), strict=True)]
    ends = [curve.latency_ms[-1] for curve in named]
    return math.log10(0.8 * min(best)), math.log10(1.5 * max(*best, *ends))


def _envelope(curves: Sequence[BandwidthCurve]) -> Json:
    times = zip(*(curve.latency_ms for curve in curves), strict=True)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(curves[0].bandwidths_bps),
        "y": [min(column) for column in times],
        "hoverinfo": "skip",
        "line": {"color": "@band", "width": 12},
    }


def _curve(curve: BandwidthCurve, colour: str, dash: str, *, width: float) -> Json:
    points = zip(curve.bandwidths_bps, curve.latency_ms, strict=True)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(curve.bandwidths_bps),
        "y": [float(f"{ms:.5g}") for ms in curve.latency_ms],
        "hovertext": [hover(curve.name, f"{quantities.time(ms)} at {quantities.rate(bps)}") for bps, ms in points],
        "hoverinfo": "text",
        "line": {"color": f"@{colour}", "dash": dash, "width": width},
    }


def _takeovers(report: Report) -> Json:
    ranges = reigns(report)
    curves = {curve.name: curve for curve in report.curves}
    starts = [one for one in ranges[1:] if one.plan_name in curves]
    texts = [hover(one.plan_name, f"takes over at {quantities.rate(one.low_bps)}") for one in starts]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [one.low_bps for one in starts],
        "y": [_latency_at(curves[one.plan_name], one.low_bps) for one in starts],
        "hovertext": texts,
        "hoverinfo": "text",
        "marker": {"symbol": "diamond", "size": 11, "color": "@ink", "line": {"width": 2, "color": "@panel"}},
    }


def _latency_at(curve: BandwidthCurve, bandwidth_bps: float) -> float:
    """The latency between the points of a curve, on the straight line that both logarithmic axes show."""
    points = list(zip(curve.bandwidths_bps, curve.latency_ms, strict=True))
    for (low, before), (high, after) in pairwise(points):
        if low <= bandwidth_bps <= high:
            part = math.log(bandwidth_bps / low) / math.log(high / low)
            return math.exp(math.log(before) + part * math.log(after / before))
    return points[0][1] if bandwidth_bps < points[0][0] else points[-1][1]


def _label_heights(curves: Sequence[BandwidthCurve], low: float, high: float) -> list[float]:
    """Where the labels stand, as powers of ten, beside the curves' right ends and none upon another."""
    ends = [math.log10(curve.latency_ms[-1]) for curve in curves]
    order = sorted(range(len(curves)), key=ends.__getitem__)
    placed = spread([ends[index] for index in order], [_LABEL_GAP * (high - low)] * (len(order) - 1))
    return [at for _, at in sorted(zip(order, placed, strict=True))]


def _today(link: Link) -> Json:
    text = f"today {quantities.rate(link.bandwidth_bps)}"
    return note(text, x=math.log10(link.bandwidth_bps), yref="paper", y=1, yanchor="bottom")
