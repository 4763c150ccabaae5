"""`splitnet inspect` fits the terminal: nothing is cut off at 80 columns, and names stay whole where they can."""

from pathlib import Path
from typing import Any

import pytest

from splitnet.package import Manifest, Package, write_package
from tests.package.strategies import example
from tests.programs.processes import run

#: As exporters of deep networks name tensors.
LONG = "/features/features.13/block/block.2/fc2/Conv_output_0"


def renamed(value: Any) -> Any:
    """A manifest's JSON with the tensor `t` under a long name, and a choice called after it."""
    if isinstance(value, dict):
        return {key: renamed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [renamed(inner) for inner in value]
    return {"t": LONG, "all-cloud": f"split at {LONG}"}.get(value, value) if isinstance(value, str) else value


@pytest.fixture
def package(tmp_path: Path) -> Package:
    content = example()
    manifest = Manifest.model_validate(renamed(content.manifest.model_dump(mode="json")))
    return write_package(tmp_path / "p.split", manifest, content.files)


def shown(package: Package, columns: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    done = run("inspect", str(package.path), "--check")
    assert (done.code, done.err) == (0, "")
    return done.out


def columns_of(text: str) -> dict[str, list[str]]:
    """Each table's columns by its title, without spaces: folding drops the one at which it folds."""
    found: dict[str, list[str]] = {}
    title = ""
    for line in text.splitlines():
        if line.startswith("│"):
            cells = [cell.replace(" ", "") for cell in line.split("│")[1:-1]]
            above = found.get(title, [""] * len(cells))
            found[title] = ["".join(pair) for pair in zip(above, cells, strict=True)]
        elif line[:1] not in "┏┃┡└":
            title = line.strip()
    return found


@pytest.mark.parametrize("columns", [80, 120])
def test_it_fits_and_nothing_is_cut_off(columns: int, package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(package, columns, monkeypatch)
    assert max(map(len, text.splitlines())) <= columns
    assert "…" not in text
    for name in (f"{plan.id} verified" for plan in package.manifest.plans):
        assert name in text


def test_the_same_stands_there_at_any_width(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow, wide, widest = (columns_of(shown(package, columns, monkeypatch)) for columns in (80, 120, 250))
    assert narrow == wide == widest
    assert len(widest) == 10


@pytest.mark.parametrize(("columns", "whole"), [(80, False), (120, True)])
def test_what_is_short_stays_on_its_line(
    columns: int, *, whole: bool, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(package, columns, monkeypatch)
    for entry in package.manifest.segments:
        (line,) = [line for line in text.splitlines() if entry.file in line]
        assert f"{entry.predicted_ms:.3f}" in line
    for plan in package.manifest.plans:
        assert sum(line.startswith(f"│ {plan.id} │") for line in text.splitlines()) == 1 + len(plan.stages)
    # The long name has a line of its own where there is room for it.
    assert (f"│ {LONG} float32[batch, 4] " in text) is whole
