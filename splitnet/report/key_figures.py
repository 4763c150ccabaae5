"""The plan's figures at a glance: a few numbers, and its time by stage as one bar."""

from splitnet.report import quantities
from splitnet.report.data import Choice, Report
from splitnet.report.markup import Markup, element
from splitnet.report.objective import PROVED, spoken_value, value_of, what
from splitnet.report.stages import STAGE, spoken_codecs, stage_times

#: A stage is labelled within the bar from this share of the whole.
_LABELLED = 0.11


def key_figures(report: Report) -> Markup:
    """Return what the plan costs, as cards; what is unknown has none."""
    cards = [_objective(report), _latency(report), _faster(report), _sent(report), *_rest(report), _proof(report)]
    return element("dl", *(card for card in cards if card), class_="cards")


def _card(name: str, value: str, remark: str = "") -> Markup:
    return element("div", element("dt", name), element("dd", value), element("dd", remark, class_="remark"))


def _objective(report: Report) -> Markup:
    """What was minimised, where it has no card of its own."""
    value = value_of(report, report.chosen)
    if report.objective != "throughput" or value is None:
        return Markup()
    return _card(what(report).capitalize(), spoken_value(report, value), "predicted; what was optimised")


def _latency(report: Report) -> Markup:
    measured = report.chosen.measured_ms
    if measured is not None:
        return _card("Latency, measured", quantities.time(measured), f"{_predicted(report)} predicted")
    return _card("Latency, predicted", _predicted(report))


def _predicted(report: Report) -> str:
    return quantities.time(report.chosen.latency_ms)


def _faster(report: Report) -> Markup:
    """How the plan's latency compares with the best of the other kind: not splitting, or splitting."""
    kind = "unsplit" if len(report.chosen.tiers) > 1 else "split"
    others = [one for one in report.alternatives if one.kind == kind and one.name != report.chosen.name]
    if not others or report.chosen.latency_ms <= 0:
        return Markup()
    best = min(others, key=lambda one: one.latency_ms)
    ratio = quantities.ratio(best.latency_ms / report.chosen.latency_ms)
    remark = f"over {quantities.short(best.name, 20)}, {quantities.time(best.latency_ms)}"
    return _card("Speed-up", f"{ratio} times", remark)


def _sent(report: Report) -> Markup:
    codecs = spoken_codecs(report.chosen.codecs)
    return _card("Sent a sample", quantities.size(report.chosen.bytes), f"as {codecs}" if codecs else "")


def _rest(report: Report) -> list[Markup]:
    chosen, cards = report.chosen, []
    if chosen.energy_mj is not None:
        cards.append(_card("Device energy", quantities.energy(chosen.energy_mj), "a sample"))
    if chosen.accuracy is not None:
        cards.append(_card("Accuracy", quantities.share(chosen.accuracy)))
    return cards


def _proof(report: Report) -> Markup:
    if report.gap is None:
        return Markup()
    if report.gap < PROVED:
        return _card("Optimum", "proved", f"by {report.method}")
    bound = f"none below {quantities.with_unit(report.bound, report.unit)}" if report.bound is not None else ""
    return _card("Optimum", f"within {quantities.share(report.gap)}", bound)


def stage_strip(choice: Choice) -> Markup:
    """Return the plan's time by stage: a bar over the whole width, each stage named within it or below."""
    times = {name: ms for name, ms in stage_times(choice.stages).items() if ms > 0}
    total = sum(times.values())
    if total <= 0:
        return Markup()
    parts = [
        element(
            "i",
            element("b", f"{STAGE[name].label} {quantities.time(ms)}") if ms >= _LABELLED * total else "",
            class_=f"stage-{name.replace(' ', '-')}",
            style=f"width:{100 * ms / total:.2f}%",
            title=f"{STAGE[name].label} {quantities.time(ms)}",
        )
        for name, ms in times.items()
    ]
    keys = [
        element(
            "span",
            element("i", class_=f"swatch stage-{name.replace(' ', '-')}"),
            f"{STAGE[name].label} {quantities.time(ms)}, {quantities.share(ms / total)}",
            class_="key",
        )
        for name, ms in times.items()
    ]
    bar = element("div", *parts, class_="bar strip", role="presentation")
    return element("div", bar, element("p", *keys, class_="legend"))
