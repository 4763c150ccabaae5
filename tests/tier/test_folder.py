"""A folder of packages is looked through again and again: what is as it was is not opened again."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from splitnet.errors import NotFoundError
from splitnet.package import Manifest, write_package
from splitnet.tier import PackageFolder, folder
from tests.package.strategies import example

NAME = example().manifest.model.name


def put(path: Path, *, version: int, model: str = NAME) -> None:
    content = example()
    manifest = content.manifest.model_dump(mode="json")
    manifest["model"] |= {"version": version, "name": model}
    write_package(path, Manifest.model_validate(manifest), content.files)


def versions(packages: PackageFolder) -> list[int]:
    return [package.manifest.model.version for package in packages.packages()]


@pytest.fixture
def packages(tmp_path: Path) -> PackageFolder:
    """Two versions of the model, another model's package, a file and a folder that is no package."""
    for version in (1, 2):
        put(tmp_path / f"{version}.split", version=version)
    put(tmp_path / "other.split", version=3, model="other")
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / "empty").mkdir()
    return PackageFolder(tmp_path, NAME)


def test_what_is_as_it_was_is_opened_once(packages: PackageFolder) -> None:
    first, *later = [packages.packages() for _ in range(3)]
    assert [package.manifest.model.version for package in first] == [2, 1]
    for found in later:
        assert all(package is before for package, before in zip(found, first, strict=True))


def another_version(path: Path) -> None:
    """The same size, and the same time of writing as before."""
    file = path / "manifest.json"
    before = file.stat()
    old, new = b'"version": 2', b'"version": 7'
    content = file.read_bytes()
    assert content.count(old) == 1
    file.write_bytes(content.replace(old, new))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def anew(path: Path) -> None:
    shutil.rmtree(path)
    put(path, version=7)


@pytest.mark.parametrize(
    ("change", "after"),
    [
        (another_version, [7, 1]),
        (anew, [7, 1]),
        (shutil.rmtree, [1]),
        (lambda path: (path / "manifest.json").write_text("{"), [1]),
        (lambda path: put(path.with_name("3.split"), version=3), [3, 2, 1]),
    ],
    ids=["in place", "anew", "gone", "damaged", "one more"],
)
def test_what_has_changed_is_seen(
    packages: PackageFolder, tmp_path: Path, change: Callable[[Path], object], after: list[int]
) -> None:
    assert versions(packages) == [2, 1]
    change(tmp_path / "2.split")
    assert versions(packages) == after


def test_a_damaged_package_is_left_out_until_it_is_mended(
    packages: PackageFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "2.split" / "manifest.json"
    content = file.read_bytes()
    file.write_text("{")
    assert versions(packages) == versions(packages) == [1]
    assert caplog.text.count(str(file)) == 1
    file.write_bytes(content)
    assert versions(packages) == [2, 1]
    file.write_text("{")
    assert versions(packages) == [1]
    assert caplog.text.count(str(file)) == 2


def test_so_much_is_kept_and_no_more(
    packages: PackageFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = (tmp_path / "1.split" / "manifest.json").stat().st_size
    monkeypatch.setattr(folder, "_MOST_KEPT_BYTES", one + 1)
    before, after = packages.packages(), packages.packages()
    assert [new is old for new, old in zip(after, before, strict=True)] == [False, True]


def test_the_newest_is_as_it_lies_there(packages: PackageFolder, tmp_path: Path) -> None:
    assert packages.newest().path == tmp_path / "2.split"
    another_version(tmp_path / "2.split")
    assert packages.newest().manifest.model.version == 7
    for version in (1, 2):
        shutil.rmtree(tmp_path / f"{version}.split")
    with pytest.raises(NotFoundError):
        packages.newest()
