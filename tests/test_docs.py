"""The documentation holds: its Python runs, its commands and options exist, its links lead somewhere."""

import functools
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

with warnings.catch_warnings():
    # Typer imports what Click 8.2 deprecates.
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner

from splitnet.cli.main import app
from splitnet.config import (
    AccessRule,
    AdaptiveConfig,
    BatchingConfig,
    CacheConfig,
    CloudConfig,
    DeviceConfig,
    EdgeConfig,
    Frozen,
    LinkConfig,
    QuotaConfig,
    TierConfig,
    TlsConfig,
    load_config,
)
from splitnet.emulate.lab import TierProcess
from splitnet.package import manifest, plans, training, wires

ROOT = Path(__file__).parents[1]
PAGES = sorted(path for path in ROOT.rglob("*.md") if not re.search(r"/\.", str(path.relative_to(ROOT.parent))))
UNITS = sorted(ROOT.glob("*/*.service"))
#: Python that is run, by page: the blocks behind this comment.
RUNS = re.compile(r"^<!-- runs -->\n+```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
COMMAND = re.compile(r"^\s*(?:\$ )?(?:\S*/)?splitnet ([a-z]+)\b(.*)", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")
#: The panels of a help that list commands, whatever they are called.
BELOW = re.compile(r"^╭─ (?!Options |Arguments ).*?^╰", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
TIMEOUT_S = 60.0


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _snippets() -> Iterator[tuple[str, str]]:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for number, code in enumerate(RUNS.findall(page.read_text())):
            yield f"{_name(page)}[{number}]", code


SNIPPETS = dict(_snippets())


@dataclass(frozen=True, slots=True)
class Example:
    """The example of docs/README.md: a folder with the package, and where its tiers really listen."""

    folder: Path
    addresses: dict[str, str]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    folder = tmp_path_factory.mktemp("example")
    (folder / "examples").symlink_to(ROOT / "examples")
    text = (ROOT / "docs" / "README.md").read_text().replace("\\\n", " ")
    (command,) = (found[0] for found in COMMAND.finditer(text) if found[1] == "partition")
    subprocess.run([sys.executable, "-m", *command.split()], cwd=folder, check=True, timeout=TIMEOUT_S)
    package = folder / "pcb.split"
    with (
        TierProcess("cloud", package, []) as cloud,
        TierProcess("edge", package, ["--upstream", cloud.address]) as edge,
    ):
        yield Example(folder, {"127.0.0.1:8001": cloud.address, "127.0.0.1:8002": edge.address})


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_snippet_runs(name: str, example: Example) -> None:
    code = SNIPPETS[name]
    for written, real in example.addresses.items():
        code = code.replace(written, real)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=example.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr


def test_snippets_are_found() -> None:
    pages = {name.partition("[")[0] for name in SNIPPETS}
    assert pages >= {f"docs/{page}.md" for page in ("exits", "package", "programs", "protocol")}


def _code(page: Path) -> Iterator[str]:
    """Everything that is set as code, continued lines joined."""
    text = page.read_text().replace("\\\n", " ")
    yield from FENCED.findall(text)
    yield from re.findall(r"^ {4}.*", FENCED.sub("", text), re.MULTILINE)
    yield from _spans(page)


def _spans(page: Path) -> list[str]:
    """What stands in backquotes within the text."""
    return SPAN.findall(FENCED.sub("", page.read_text()))


@functools.cache
def _options(*command: str) -> frozenset[str]:
    """The options of a command, and of the commands below it, from their help."""
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*command, "--help"])
    assert done.exit_code == 0, done.output
    own = frozenset(OPTION.findall("\n".join(re.findall(r"^│.*", done.stdout, re.MULTILINE))))
    names = re.findall(r"^│ (\w+)", "\n".join(BELOW.findall(done.stdout)), re.MULTILINE)
    return own.union(*(_options(*command, name) for name in names))


def test_help_is_read() -> None:
    assert {"--cut", "--output", "-o", "--json"} <= _options("partition")
    assert "--cut" not in _options("cloud")
    assert {"--name", "--roster"} <= _options("keys")


@pytest.mark.parametrize("page", [*PAGES, *UNITS], ids=_name)
def test_commands_and_their_options_exist(page: Path) -> None:
    code = [page.read_text()] if page in UNITS else _code(page)
    for command, rest in (found for part in code for found in COMMAND.findall(part)):
        unknown = set(OPTION.findall(rest.partition(" #")[0])) - _options(command)
        assert not unknown, f"splitnet {command}: {sorted(unknown)}"


#: Where a command's options are described: on one page, or on several together.
REFERENCE = {
    "partition": "partition",
    "profile": "profile",
    "plan": "plan",
    "emulate": "emulate",
    "bench": "bench",
    "keys": "certificates identities",
    "release": "release",
    "federate": "federated",
    "samples": "learning",
} | dict.fromkeys(("inspect", "cloud", "edge", "device", "demo"), "programs")


@pytest.mark.parametrize(("command", "page"), REFERENCE.items())
def test_every_option_is_described(command: str, page: str) -> None:
    described = OPTION.findall("".join((ROOT / "docs" / f"{each}.md").read_text() for each in page.split()))
    assert _options(command) - {"--help"} <= set(described)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=_name)
def test_options_named_alone_exist(page: Path) -> None:
    known = frozenset().union(*map(_options, REFERENCE))
    named = {option for part in _spans(page) if part[0] == "-" for option in OPTION.findall(part)}
    assert named <= known


SETTINGS = (
    CloudConfig,
    EdgeConfig,
    DeviceConfig,
    AccessRule,
    AdaptiveConfig,
    BatchingConfig,
    CacheConfig,
    LinkConfig,
    QuotaConfig,
    TlsConfig,
)
ENTRIES = tuple(
    kind
    for module in (manifest, plans, training, wires)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Frozen)
)


@pytest.mark.parametrize(
    ("page", "kinds"), [("programs", SETTINGS), ("package", ENTRIES)], ids=["settings", "manifest"]
)
def test_every_key_is_described(page: str, kinds: tuple[type[Frozen], ...]) -> None:
    described = set(re.findall(r"\w+", " ".join(_spans(ROOT / "docs" / f"{page}.md"))))
    assert {key for kind in kinds for key in kind.model_fields} <= described


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    prose = SPAN.sub("", FENCED.sub("", page.read_text()))
    for link in ("".join(found) for found in LINK.findall(prose)):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize(
    ("folder", "kind"), [("server", CloudConfig), ("edge", EdgeConfig), ("device", DeviceConfig)]
)
def test_example_settings_are_accepted(folder: str, kind: type[TierConfig]) -> None:
    assert load_config(kind, ROOT / folder / "example.toml", {}).package == Path("/srv/splitnet/model.split")
