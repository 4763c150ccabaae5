"""docs/site.md and docs/profile.md hold: every key is described, the examples load, the library is as listed."""

import re
from pathlib import Path

import pytest

from splitnet.cost import MachineEntry, NodeTime, ProfiledMachine, StoredProfile, default_site, library, load_site
from splitnet.cost.links import LinkEntry
from splitnet.cost.traces import read_trace

DOCS = Path(__file__).parents[2] / "docs"
SITE = (DOCS / "site.md").read_text(encoding="utf-8")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def words(page: str) -> set[str]:
    spans = re.findall(r"`([^`\n]+)`", FENCED.sub("", (DOCS / page).read_text(encoding="utf-8")))
    return set(re.findall(r"\w+", " ".join(spans)))


@pytest.mark.parametrize(
    ("page", "kinds"),
    [("site.md", (MachineEntry, LinkEntry)), ("profile.md", (StoredProfile, ProfiledMachine, NodeTime))],
)
def test_every_key_is_described(page: str, kinds: tuple[type[MachineEntry], ...]) -> None:
    assert {key for kind in kinds for key in kind.model_fields} <= words(page)


def test_the_examples_load(tmp_path: Path) -> None:
    assumed, larger = (text for kind, text in FENCED.findall(SITE) if kind == "toml")
    (trace,) = (text for kind, text in FENCED.findall(SITE) if not kind)
    path = tmp_path / "site.toml"
    path.write_text(assumed, encoding="utf-8")
    site = load_site(path)
    assert site.links == default_site().links
    assert [machine.speed for machine in (site.device, site.edge, site.cloud)] == [0.1, 1.0, 1.0]
    path.write_text(larger, encoding="utf-8")
    (tmp_path / "wifi.csv").write_text(trace, encoding="utf-8")
    (tmp_path / "rack.toml").write_text("[machine.rack]\ngflops = 100\n", encoding="utf-8")
    site = load_site(path, lambda: 50.0)
    assert (site.edge.memory_bytes, site.cloud.speed) == (2**31, 2.0)
    assert site.links[0].trace == read_trace(tmp_path / "wifi.csv")


def test_the_library_is_as_listed() -> None:
    listed = dict(re.findall(r"^\| `([\w-]+)` \| ([\d.]+) \|", SITE, re.MULTILINE))
    assert {name: float(gflops) for name, gflops in listed.items()} == {
        name: entry.gflops for name, entry in library().items()
    }
