"""What the plan means, in plain words: what was chosen, what it gains, what limits and what would change it."""

from typing import Literal

from splitnet.report import quantities
from splitnet.report.bandwidth import reigns, swept_link
from splitnet.report.data import Choice, Report
from splitnet.report.objective import PROVED, compared, spoken_value, value_of
from splitnet.report.stages import LINKS, place_of, spoken, stage_times


def words(report: Report) -> tuple[str, ...]:
    """Return a headline and then paragraphs: the report's own where it brings them."""
    if report.words:
        return report.words
    written = (_headline(report), _against(report), _limit(report), _change(report), _evidence(report))
    return tuple(text for text in written if text)


def _headline(report: Report) -> str:
    """What was chosen, and how it compares with the best of the other kind."""
    chosen = report.chosen
    worth = value_of(report, chosen)
    figure = f": {spoken_value(report, worth)}" if worth is not None else ""
    if len(chosen.tiers) > 1:
        verdict, rivals = f"Split over {spoken(chosen.tiers)}{figure}", _known(report, "unsplit")
    else:
        verdict, rivals = f"Do not split: run it all {place_of(chosen.tiers[0])}{figure}", _known(report, "split")
    if worth is None or not rivals:
        return f"{verdict}."
    value, rival = min(rivals, key=lambda pair: pair[0])
    other = "the best unsplit choice" if rival.kind == "unsplit" else "the best split"
    return f"{verdict}, {compared(report, worth, value)} {other}, {quantities.short(rival.name)}."


def _against(report: Report) -> str:
    """What each unsplit choice is worth, and why one that is better is not the plan."""
    worth, others = value_of(report, report.chosen), _known(report, "unsplit")
    if worth is None or not others:
        return ""
    title = "Not splitting" if len(report.chosen.tiers) > 1 else "The other ways not to split"
    beside = [
        f"{quantities.short(one.name)} {_figure(report, value)}{_times(report, value, worth)}"
        for value, one in others
    ]
    better = [_why_not(one) for value, one in others if value < worth]
    return " ".join((f"{title}: {', '.join(beside)}.", *better))


def _times(report: Report, value: float, worth: float) -> str:
    """How many times the plan's figure another one is."""
    of, to = (worth, value) if report.objective == "throughput" else (value, worth)
    return f" ({quantities.ratio(of / to)} times the plan's)" if to > 0 else ""


def _why_not(better: Choice) -> str:
    name, note = quantities.short(better.name), quantities.short(better.note, quantities.HOVER_LENGTH)
    return f"{name} would be better but was not chosen{f': {note}' if note else ''}".rstrip(".") + "."


def _limit(report: Report) -> str:
    """Which stage takes the most time; of a link, how much of it no bandwidth would save."""
    times = stage_times(report.chosen.stages)
    slowest = max(times, key=lambda name: times[name])
    if times[slowest] <= 0:
        return ""
    part, spent = quantities.share(times[slowest] / sum(times.values())), quantities.time(times[slowest])
    text = f"The largest part of its time, {spent} or {part}, is spent"
    if slowest not in LINKS:
        tier, _, head = slowest.partition(" ")
        return f"{text} computing {place_of(tier)}{', for its exit' if head else ''}."
    text = f"{text} on the {slowest} link"
    link = next((link for link in report.links if link.name == slowest), None)
    if link is None:
        return f"{text}."
    delay = quantities.time(min(2 * link.delay_ms, times[slowest]))
    bandwidth = quantities.rate(link.bandwidth_bps)
    return f"{text}: {delay} of it delay there and back, the rest sending at {bandwidth}, coding and handling."


def _change(report: Report) -> str:
    """The nearest bandwidths at which another plan becomes the best."""
    link, ranges = swept_link(report), reigns(report)
    if link is None or not ranges:
        return ""
    today = f"The {link.name} link has {quantities.rate(link.bandwidth_bps)}"
    low, high = (quantities.rate(end) for end in (ranges[0].low_bps, ranges[-1].high_bps))
    now = next((index for index, one in enumerate(ranges) if one.holds(link.bandwidth_bps)), None)
    if now is None:
        return f"{today}, outside the {low} to {high} for which plans were compared."
    if len(ranges) == 1:
        return f"{today}; from {low} to {high} the same plan stays the fastest."
    parts = []
    if now > 0:
        name = quantities.short(ranges[now - 1].plan_name)
        parts.append(f"below {quantities.rate(ranges[now].low_bps)} {name} would be the fastest")
    if now + 1 < len(ranges):
        name = quantities.short(ranges[now + 1].plan_name)
        parts.append(f"from {quantities.rate(ranges[now].high_bps)} up {name} would be the fastest")
    return f"{today}; {', '.join(parts)}."


def _evidence(report: Report) -> str:
    """What is proved, what was measured, and what was given up."""
    chosen, said = report.chosen, []
    if report.gap is not None:
        limit = "" if report.gap < PROVED else f"more than {quantities.share(report.gap)} "
        said.append(f"By these costs no plan is {limit}better (proved by {report.method}).")
    if chosen.measured_ms is not None and chosen.latency_ms > 0:
        off = chosen.measured_ms / chosen.latency_ms - 1
        beside = f"{quantities.share(abs(off))} {'above' if off >= 0 else 'below'}"
        measured, predicted = quantities.time(chosen.measured_ms), quantities.time(chosen.latency_ms)
        said.append(f"Its segments were run and took {measured}, {beside} the {predicted} predicted.")
    if chosen.accuracy is not None:
        said.append(f"Accuracy: {quantities.share(chosen.accuracy)}.")
    if report.given_up:
        said.append(f"Given up: {'; '.join(quantities.short(one, 160) for one in report.given_up)}.")
    return " ".join(said)


def _figure(report: Report, value: float) -> str:
    return spoken_value(report, value).removesuffix(" a sample")


def _known(report: Report, kind: Literal["split", "unsplit"]) -> list[tuple[float, Choice]]:
    """The alternatives of a kind whose value is known, with it; the plan itself is none."""
    valued = ((value_of(report, one), one) for one in report.alternatives if one.kind == kind)
    return [(value, one) for value, one in valued if value is not None and one.name != report.chosen.name]
