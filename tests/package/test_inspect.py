"""What `splitnet inspect` shows of a package with several plans."""

import json
from pathlib import Path

import pytest

from splitnet.package import MESSAGE_BYTES, Package, write_package
from tests.package.strategies import Content, example
from tests.programs.processes import run


@pytest.fixture
def package(tmp_path: Path) -> Package:
    content = example()
    return write_package(tmp_path / "p.split", content.manifest, content.files)


def shown(package: Package, *options: str) -> str:
    done = run("inspect", str(package.path), *options)
    assert (done.code, done.err) == (0, "")
    return done.out


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of the rows that begin with `first`."""
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
    return [cells for cells in lines if cells[0] == first]


def test_every_plan_has_its_row_wires_and_choices(package: Package) -> None:
    text = shown(package)
    first, second = package.manifest.plans
    figures = ["12.50 ms", "12.50", "13.00"]
    row, *stages = rows(text, first.id)
    assert row == [first.id, "device, cloud", "0", *figures]
    assert [stage[1:] for stage in stages] == [
        ["device", "100.0%", "", "1.50"],
        ["edge", "50.0%", "10", "0.00"],
        ["cloud", "50.0%", "10", "1.50"],
    ]
    assert rows(text, second.id)[0] == [second.id, "cloud-2", "100", *figures]
    for plan in (first, second):
        assert f"wires of plan {plan.id}" in text
        assert f"choices of plan {plan.id}, for latency" in text
        assert f"plan {plan.id} verified against the whole model: bit-equal" in text
    # Half of the samples go up, with 9.5 bytes and what a message has beside them, over both links.
    assert first.bytes == pytest.approx(9.5 + MESSAGE_BYTES)
    assert rows(text, "this plan")[0] == ["this plan", "12.50", "13.00", f"{first.bytes:,.0f}", "3.50", "0.7500"]
    assert rows(text, "this plan")[1][3] == f"{2 * (12 + MESSAGE_BYTES):,}"
    assert rows(text, "all-cloud")[0] == ["all-cloud", "20.00", "21.00", "1,000", "9.00", "0.7500"]


def test_codings_and_weights_are_shown(package: Package) -> None:
    text = shown(package)
    coded, plain = [cells for cells in rows(text, "device") if cells[1] == "edge"]
    assert coded[3:] == ["none", "zstd", "10 of 16"]
    assert plain[3:] == ["none", "none", "12"]
    assert "│ + 0.0 in 1 " in text


def test_the_backup_model_is_shown(package: Package) -> None:
    assert "backup model backup/backup.onnx, 0.0 KiB, right on 50.0% of the calibration samples" in shown(package)


def test_what_learns_is_shown(package: Package) -> None:
    text = shown(package)
    assert ["device", "exits", "early, 5 classes, logits", "25 in 2", "sgd, adam"] in rows(text, "device")


def test_a_package_that_does_not_learn_has_no_table_of_it(tmp_path: Path) -> None:
    content = example()
    manifest = content.manifest.model_copy(update={"training": ()})
    files = {name: data for name, data in content.files.items() if not name.startswith("train/")}
    assert "training" not in shown(write_package(tmp_path / "p.split", manifest, files))


def test_one_plan_needs_no_table_of_plans(tmp_path: Path) -> None:
    content = example()
    manifest = content.manifest.model_copy(update={"plans": content.manifest.plans[:1]})
    text = shown(write_package(tmp_path / "p.split", manifest, content.files))
    assert "wires of plan" not in text
    assert "Mbit/s" not in text
    assert "stages" not in text


def test_shared_files_are_verified_and_counted_once(package: Package) -> None:
    content: Content = example()
    size_bytes = sum(map(len, content.files.values()))
    assert f"verified 8 files, {size_bytes:,} bytes" in shown(package, "--check")
    printed = json.loads(shown(package, "--check", "--json"))
    assert printed == content.manifest.model_dump(mode="json") | {"verified_bytes": size_bytes}
