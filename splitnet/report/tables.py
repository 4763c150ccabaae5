"""The tables of the page: every choice, the machines, the links, and the best plan at each bandwidth."""

from collections.abc import Sequence

from splitnet.report import quantities
from splitnet.report.bandwidth import reigns, swept_link
from splitnet.report.data import Choice, Report
from splitnet.report.markup import Markup, element, join
from splitnet.report.stages import STAGE, STAGES, spoken, spoken_codecs, stage_times

_NOT_KNOWN = "-"
#: So many choices beside the plan have a row, the fastest, and all that do not split.
_ROWS = 40


def choices_table(report: Report) -> Markup:
    """Return every choice, the plan first, then by latency, with its time by stage as a bar."""
    by_name = {one.name: one for one in (*report.alternatives, *report.measured, report.chosen)}
    others = [one for one in by_name.values() if one.name != report.chosen.name]
    ranked = sorted(others, key=lambda one: one.latency_ms)
    kept = [one for rank, one in enumerate(ranked) if rank < _ROWS or one.kind == "unsplit"]
    choices = [report.chosen, *kept]
    title = f"The fastest of {len(by_name):,} choices" if len(kept) < len(ranked) else "All choices"
    longest = _scale(choices)
    heads = ("Choice", "Latency", "Time by stage", "Measured", "Sent", "Device energy", "Accuracy", "")
    return _table(title, heads, [_choice_row(one, longest) for one in choices], numeric=(1, 3, 4, 5, 6))


def stage_legend() -> Markup:
    """Return what the colours and patterns of the bars mean."""
    return element(
        "p",
        *(element("span", _key(stage.name), stage.label, class_="key") for stage in STAGES),
        class_="legend",
    )


def _key(stage: str) -> Markup:
    return element("i", class_=f"swatch stage-{stage.replace(' ', '-')}")


def _scale(choices: Sequence[Choice]) -> float:
    """The latency of a whole bar: of the slowest, but a bar of the plan is to remain seen."""
    slowest = max(one.latency_ms for one in choices)
    return min(slowest, 3 * choices[0].latency_ms) or 1.0


def _choice_row(choice: Choice, longest: float) -> tuple[Markup, list[str]]:
    name = element("strong" if choice.kind == "chosen" else "span", quantities.short(choice.name))
    where = f"{spoken(choice.tiers)}{': ' + spoken_codecs(choice.codecs) if choice.codecs else ''}"
    note = quantities.short(choice.note, quantities.HOVER_LENGTH)
    cells = [
        join([name, element("small", where)]),
        quantities.time(choice.latency_ms),
        _bar(choice, longest),
        quantities.time(choice.measured_ms) if choice.measured_ms is not None else _NOT_KNOWN,
        quantities.size(choice.bytes),
        quantities.energy(choice.energy_mj) if choice.energy_mj is not None else _NOT_KNOWN,
        quantities.share(choice.accuracy) if choice.accuracy is not None else _NOT_KNOWN,
        join([_badge(choice), element("small", note) if note else ""]),
    ]
    return Markup("plan" if choice.kind == "chosen" else ""), cells


def _badge(choice: Choice) -> Markup:
    text = {"chosen": "the plan", "unsplit": "not split", "split": "split"}[choice.kind]
    return element("span", text, class_=f"badge {choice.kind}")


def _bar(choice: Choice, longest: float) -> Markup:
    """The stages side by side, each as wide as its time; what lies beyond the scale is cut off and marked."""
    times = {name: ms for name, ms in stage_times(choice.stages).items() if ms > 0}
    said = ", ".join(f"{STAGE[name].label} {quantities.time(ms)}" for name, ms in times.items())
    parts = [
        element("i", class_=f"stage-{name.replace(' ', '-')}", style=f"width:{100 * ms / longest:.2f}%")
        for name, ms in times.items()
    ]
    beyond = " beyond" if choice.latency_ms > longest * 1.001 else ""
    return element("span", *parts, class_=f"bar{beyond}", role="img", aria_label=said, title=said)


def machines_table(report: Report) -> Markup:
    """Return the machines of the site."""
    rows = []
    for one in report.machines:
        memory = quantities.size(one.memory_bytes) if one.memory_bytes is not None else _NOT_KNOWN
        watts = quantities.with_unit(one.watts, "W") if one.watts is not None else _NOT_KNOWN
        name, text = quantities.short(one.name), quantities.short(one.description, quantities.HOVER_LENGTH)
        cells = [_tier(one.tier), name, text, quantities.number(one.speed), memory, watts]
        rows.append((Markup(), cells))
    return _table(
        "Machines", ("Tier", "Machine", "", "Relative speed", "Memory", "Power"), rows, numeric=(3, 4, 5)
    )


def _tier(tier: str) -> Markup:
    return join([element("i", class_=f"swatch stage-{tier}"), tier])


def links_table(report: Report) -> Markup:
    """Return the links of the site."""
    rows = [
        (
            Markup(),
            [
                quantities.short(one.name),
                quantities.rate(one.bandwidth_bps),
                quantities.time(one.delay_ms),
                quantities.time(one.jitter_ms),
            ],
        )
        for one in report.links
    ]
    return _table("Links", ("Link", "Bandwidth each way", "Delay one way", "Jitter"), rows, numeric=(1, 2, 3))


def bandwidth_table(report: Report) -> Markup:
    """Return the best plan at each bandwidth swept."""
    link = swept_link(report)
    if link is None:
        return Markup()
    rows = []
    for one in reigns(report):
        now = one.holds(link.bandwidth_bps)
        cells = [
            f"{quantities.rate(one.low_bps)} to {quantities.rate(one.high_bps)}",
            quantities.short(one.plan_name),
            "today" if now else "",
        ]
        rows.append((Markup("plan" if now else ""), cells))
    return _table("Fastest plan by bandwidth", (f"Bandwidth of {link.name}", "Fastest plan", ""), rows)


def _table(
    title: str, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], *, numeric: tuple[int, ...] = ()
) -> Markup:
    kind = ["number" if column in numeric else "" for column in range(len(heads))]
    head = [element("th", text, scope="col", class_=kind[column]) for column, text in enumerate(heads)]
    body = [
        element("tr", *(element("td", cell, class_=kind[column]) for column, cell in enumerate(cells)), class_=row)
        for row, cells in rows
    ]
    table = element(
        "table",
        element("caption", title),
        element("thead", element("tr", *head)),
        element("tbody", *body),
    )
    return element("div", table, class_="scroll", tabindex="0", role="region", aria_label=title)
