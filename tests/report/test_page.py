"""The page: whole, self-contained, and safe whatever names the model brings."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from splitnet.errors import InvalidArgumentError, OperatorError
from splitnet.report import Choice, Report, write_report
from splitnet.report.page import page
from tests.report import demo

MAX_BYTES = 6_000_000
HOSTILE = (
    "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u2028\x00\ud800<a href='javascript:x'>&"
)


class Elements(HTMLParser):
    """Every element, its attributes, and the text in it, as a browser's parser would split them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self.stack: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag != "meta":
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack:
            self.text.setdefault(self.stack[-1], []).append(data)


@pytest.fixture(
    scope="module", params=[demo.small_split, demo.large, demo.all_device], ids=lambda make: make.__name__
)
def report(request: pytest.FixtureRequest) -> Report:
    make: Callable[[], Report] = request.param
    return make()


def test_every_part_is_there_once(report: Report) -> None:
    found = Elements(page(report)).found
    ids = [attributes["id"] for _, attributes in found if "id" in attributes]
    assert len(ids) == len(set(ids))
    parts = ["cuts", "tradeoffs", "bandwidth", "measured", "graph", "figures"]
    assert [name for name in ids if name in parts] == parts
    assert sum(tag == "h1" for tag, _ in found) == 1
    assert sum(tag == "svg" for tag, _ in found) == 1


def test_nothing_is_loaded_from_elsewhere(report: Report) -> None:
    found = Elements(page(report)).found
    assert not {tag for tag, _ in found} & {"link", "img", "iframe", "object", "embed", "base", "form"}
    loading = {"src", "href", "srcset", "action", "data"}
    assert not [attributes for _, attributes in found if loading & attributes.keys()]
    policy = next(a["content"] for _, a in found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "http" not in policy
    styles = "".join(Elements(page(report)).text["style"])
    assert "url(" not in styles
    assert "@import" not in styles


def test_charts_are_not_offered_to_a_service(report: Report) -> None:
    script = "".join(Elements(page(report)).text["script"][-1])
    assert "showSendToCloud: false" in script
    assert 'plotlyServerURL: ""' in script


def test_the_page_is_not_too_large(report: Report) -> None:
    assert len(page(report).encode()) < MAX_BYTES


def test_many_candidates_do_not_make_it_larger() -> None:
    report = demo.large()
    many = tuple(
        replace(report.alternatives[0], kind="split", name=f"candidate {number}", latency_ms=200.0 + number)
        for number in range(5000)
    )
    curves = tuple(replace(report.curves[0], name=one.name) for one in many)
    full = replace(
        report, pareto=many, alternatives=(*report.alternatives, *many), curves=(*report.curves, *curves)
    )
    text = page(full)
    assert len(text.encode()) < MAX_BYTES
    assert "The fastest of 5,0" in text
    assert ">all-device<" in text


def test_parts_without_data_are_left_out() -> None:
    full = demo.small_split()
    bare = replace(
        full, alternatives=(), cuts=(), pareto=(), curves=(), takeovers=(), nodes=(), edges=(), measured=()
    )
    ids = {attributes.get("id") for _, attributes in Elements(page(bare)).found}
    assert "figures" in ids
    assert not ids & {"cuts", "tradeoffs", "bandwidth", "measured", "graph"}


def test_a_note_is_shown_in_the_table_and_where_one_points() -> None:
    full, note = demo.small_split(), "its codec was given up"
    noted = replace(full.pareto[1], note=note)
    text = Elements(page(replace(full, pareto=(full.pareto[0], noted), alternatives=(noted,)))).text
    assert note in text["small"]
    assert f"\\u003cbr\\u003e{note}" in text["script"][0]


def hostile(report: Report) -> Report:
    """`report` with a hostile text wherever a text of a stranger may stand."""

    def renamed(choice: Choice) -> Choice:
        return replace(choice, name=HOSTILE + choice.name, note=HOSTILE, codecs=(HOSTILE,))

    return replace(
        report,
        model=HOSTILE,
        model_digest=HOSTILE,
        created=HOSTILE,
        machines=tuple(replace(one, name=HOSTILE, description=HOSTILE) for one in report.machines),
        chosen=renamed(report.chosen),
        alternatives=tuple(map(renamed, report.alternatives)),
        pareto=tuple(map(renamed, report.pareto)),
        measured=tuple(map(renamed, report.measured)),
        cuts=tuple(replace(one, label=HOSTILE, op=HOSTILE, codec=HOSTILE + one.codec) for one in report.cuts),
        curves=tuple(replace(one, name=HOSTILE + one.name) for one in report.curves),
        takeovers=tuple(replace(one, plan_name=HOSTILE + one.plan_name) for one in report.takeovers),
        nodes=tuple(replace(one, op=HOSTILE) for one in report.nodes),
        edges=tuple(replace(one, codec=HOSTILE) for one in report.edges),
        given_up=(HOSTILE,),
        method=HOSTILE,
    )


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    plain, attacked = demo.small_split(), hostile(demo.small_split())
    path = tmp_path / "report.html"
    write_report(attacked, path)
    found = Elements(path.read_text(encoding="utf-8")).found
    assert sum(tag == "script" for tag, _ in found) == sum(
        tag == "script" for tag, _ in Elements(page(plain)).found
    )
    assert not [tag for tag, attributes in found if tag in ("img", "a") or "onerror" in attributes]


def test_hostile_names_stay_text_in_plotly() -> None:
    """Plotly reads tags in its texts, but for those that are ours: a bold title and line breaks."""
    data = Elements(page(hostile(demo.small_split()))).text["script"][0]
    tags = set(re.findall(r"\\u003c(/?\w+)", data))
    assert tags <= {"b", "/b", "br"}


def test_own_words_are_escaped_too() -> None:
    found = Elements(page(replace(demo.small_split(), words=(HOSTILE, HOSTILE)))).found
    assert "img" not in {tag for tag, _ in found}


def test_plotly_is_asked_for_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(InvalidArgumentError, match=r"splitnet\[report\]"):
        page(demo.small_split())


def test_a_report_replaces_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(demo.small_split(), path)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


def test_a_report_that_cannot_be_put_in_its_place_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.mkdir()
    (path / "kept").write_text("mine")
    with pytest.raises(OperatorError, match=r"report\.html: cannot be written"):
        write_report(demo.small_split(), path)
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    assert (path / "kept").read_text() == "mine"


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"nowhere/report\.html"):
        write_report(demo.small_split(), tmp_path / "nowhere" / "report.html")
