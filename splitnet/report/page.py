"""The page: every part in its order, as one HTML text that loads nothing."""

from collections.abc import Callable, Sequence
from importlib.resources import files

from splitnet.errors import InvalidArgumentError
from splitnet.report import quantities, tables
from splitnet.report.bandwidth_chart import bandwidth_chart
from splitnet.report.chart import Chart
from splitnet.report.cut_chart import cut_chart
from splitnet.report.data import Report
from splitnet.report.key_figures import key_figures, stage_strip
from splitnet.report.markup import Markup, element, script_data
from splitnet.report.measured_chart import measured_chart
from splitnet.report.model_graph import graph_caption, model_graph
from splitnet.report.tradeoff_chart import tradeoff_chart
from splitnet.report.words import words

#: The page may run and style itself, and load nothing: a browser then holds it to that.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "form-action 'none'; base-uri 'none'"
)


def page(report: Report) -> str:
    """Return the report as one HTML document that needs no network and no other file.

    Raises:
        InvalidArgumentError: Plotly is not installed.
    """
    charts = [chart for make in _CHARTS if (chart := make(report)) is not None]
    sections = [_chart_section(chart, report) for chart in charts]
    title = f"{quantities.short(report.model)}: where to run it"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", _asset("page.css")),
    )
    drawn = {chart.name: [view.to_json() for view in chart.views] for chart in charts}
    body = element(
        "body",
        _header(report),
        element("main", _summary(report), *sections, _graph_section(report), _tables_section(report)),
        script_data("charts", drawn),
        element("script", _plotly()),
        element("script", _asset("page.js")),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


_CHARTS: Sequence[Callable[[Report], Chart | None]] = (cut_chart, tradeoff_chart, bandwidth_chart, measured_chart)


def _header(report: Report) -> Markup:
    digest = report.model_digest
    return element(
        "header",
        element("span", "SplitNet", class_="brand"),
        element("span", quantities.short(report.model), class_="model"),
        element("code", f"sha256 {digest[:12]}", title=digest) if digest else "",
        element("time", report.created),
        element("button", "Light or dark", type="button", id="theme"),
    )


def _summary(report: Report) -> Markup:
    headline, *paragraphs = words(report)
    return element(
        "section",
        element("h1", headline),
        *(element("p", text) for text in paragraphs),
        key_figures(report),
        stage_strip(report.chosen),
        element("noscript", element("p", "The charts need JavaScript. All figures are in the tables too.")),
        class_="summary",
    )


def _chart_section(chart: Chart, report: Report) -> Markup:
    extra = tables.bandwidth_table(report) if chart.name == "bandwidth" else Markup()
    plot = element(
        "div",
        class_="plot",
        id=f"plot-{chart.name}",
        role="img",
        aria_label=chart.caption,
        style=f"height:{chart.height_px}px",
    )
    return element(
        "section",
        element("h2", chart.title),
        _buttons(chart),
        plot,
        element("p", chart.caption, class_="caption"),
        extra,
        id=chart.name,
    )


def _buttons(chart: Chart) -> Markup:
    """A button for each view, where there is a choice."""
    if len(chart.views) < 2:
        return Markup()
    buttons = [
        element(
            "button",
            view.name,
            type="button",
            data_chart=chart.name,
            data_view=str(index),
            aria_pressed="true" if index == 0 else "false",
        )
        for index, view in enumerate(chart.views)
    ]
    return element(
        "div", element("span", chart.choose), *buttons, class_="choose", role="group", aria_label=chart.choose
    )


def _graph_section(report: Report) -> Markup:
    graph = model_graph(report)
    if not graph:
        return Markup()
    return element(
        "section",
        element("h2", "What runs where"),
        element("div", graph, class_="scroll", tabindex="0", role="region", aria_label="The model by tier"),
        element("p", graph_caption(report), class_="caption"),
        id="graph",
    )


def _tables_section(report: Report) -> Markup:
    return element(
        "section",
        element("h2", "All figures"),
        tables.choices_table(report),
        tables.stage_legend(),
        element("div", tables.machines_table(report), tables.links_table(report), class_="pair"),
        id="figures",
    )


def _asset(name: str) -> Markup:
    return Markup(files("splitnet.report").joinpath(name).read_text(encoding="utf-8"))


def _plotly() -> Markup:
    """Plotly's script, whole."""
    try:
        from plotly.offline import get_plotlyjs  # noqa: PLC0415 - heavy, and of the extra alone
    except ModuleNotFoundError as err:
        raise InvalidArgumentError(
            f"a report needs {err.name}: install SplitNet with the extra, splitnet[report]"
        ) from err
    return Markup(get_plotlyjs())
