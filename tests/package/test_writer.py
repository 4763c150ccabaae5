"""Writing packages: whole or not at all, and never over something else."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from splitnet.errors import PackageError
from splitnet.package import Manifest, check_target, open_package, write_package
from tests.package.strategies import Content, example


def with_files(first: str, second: str) -> Content:
    """The example with its first two segments' files called otherwise."""
    content = example()
    names = dict(zip(("segments/device.onnx", "segments/cloud.onnx"), (first, second), strict=True))
    segments = tuple(
        segment.model_copy(update={"file": names.get(segment.file, segment.file)})
        for segment in content.manifest.segments
    )
    files = {names.get(name, name): held for name, held in content.files.items()}
    return Content(content.manifest.model_copy(update={"segments": segments}), files)


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


#: Files that no folder can hold together, or at all.
IMPOSSIBLE = [("a", "a/b"), ("a", "manifest.json"), ("a", "x" * 256 + "/b"), ("a", "é" * 255)]


@pytest.mark.parametrize("names", IMPOSSIBLE)
def test_a_failure_leaves_nothing_behind(names: tuple[str, str], tmp_path: Path) -> None:
    content = with_files(*names)
    with pytest.raises(PackageError, match=r"p\.split: cannot be written"):
        write_package(tmp_path / "p.split", content.manifest, content.files)
    assert listing(tmp_path) == set()


@pytest.mark.parametrize("names", IMPOSSIBLE)
def test_a_failure_leaves_the_package_that_was_there(names: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "p.split"
    old = example()
    write_package(path, old.manifest, old.files)
    before = listing(tmp_path)
    content = with_files(*names)
    with pytest.raises(PackageError, match="cannot be written"):
        write_package(path, content.manifest, content.files)
    assert listing(tmp_path) == before
    assert open_package(path).manifest == old.manifest
    assert open_package(path).check() > 0


def test_a_package_takes_the_place_of_another_and_nothing_of_that_stays(tmp_path: Path) -> None:
    path = tmp_path / "p.split"
    old, new = with_files("old/one.onnx", "old/two.onnx"), example(b" anew")
    write_package(path, old.manifest, old.files)
    package = write_package(path, new.manifest, new.files)
    assert open_package(path) == package
    assert package.read_segment(package.manifest.segments[0]) == b"device's own anew"
    assert listing(tmp_path) == {
        "p.split",
        "p.split/manifest.json",
        "p.split/segments",
        "p.split/segments/device.onnx",
        "p.split/segments/cloud.onnx",
        "p.split/segments/cloud-2.onnx",
        "p.split/segments/weights",
        "p.split/segments/weights/w.bin",
        "p.split/backup",
        "p.split/backup/backup.onnx",
        "p.split/train",
        "p.split/train/features.onnx",
        "p.split/train/sgd.onnx",
        "p.split/train/adam.onnx",
    }


def test_whoever_holds_the_old_package_open_keeps_it(tmp_path: Path) -> None:
    # The new one is another directory under the same name: no file of the old one is written to.
    path = tmp_path / "p.split"
    old, new = example(), example(b" anew")
    write_package(path, old.manifest, old.files)
    with (path / "segments/device.onnx").open("rb") as held:
        write_package(path, new.manifest, new.files)
        assert held.read() == old.files["segments/device.onnx"]


def test_folders_above_are_made_and_all_may_read(tmp_path: Path) -> None:
    content = example()
    path = tmp_path / "a/b/p.split"
    write_package(path, content.manifest, content.files)
    assert open_package(path).check() > 0
    assert path.stat().st_mode & 0o777 == 0o755


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    content = example()
    path = tmp_path / "p.split"
    path.mkdir()
    write_package(path, content.manifest, content.files)
    assert open_package(path).check() > 0


def make_file(path: Path) -> None:
    path.write_text("mine")


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.txt").write_text("mine")


def make_link(path: Path) -> None:
    target = path.with_name("target")
    target.mkdir()
    path.symlink_to(target)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (make_file, "is a file"),
        (make_folder, "is a directory that is no package"),
        (make_link, "is a file"),
        (make_pipe, "is a file"),
    ],
)
def test_anything_else_in_the_way_is_left_alone(make: Callable[[Path], None], text: str, tmp_path: Path) -> None:
    path = tmp_path / "p.split"
    make(path)
    before, kind = listing(tmp_path), path.lstat().st_mode
    content = example()
    with pytest.raises(PackageError, match=rf"p\.split: {text}"):
        check_target(path)
    with pytest.raises(PackageError, match=rf"p\.split: {text}"):
        write_package(path, content.manifest, content.files)
    assert listing(tmp_path) == before
    assert path.lstat().st_mode == kind


def test_a_file_in_place_of_a_folder_above_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    content = example()
    with pytest.raises(PackageError, match="cannot be written"):
        write_package(tmp_path / "file" / "p.split", content.manifest, content.files)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_manifest_that_contradicts_itself_is_never_written(tmp_path: Path) -> None:
    content = example()
    exits = content.manifest.exits[0].model_copy(update={"segment": "attic"})
    manifest: Manifest = content.manifest.model_copy(update={"exits": (exits,)})
    with pytest.raises(PackageError, match=r"exits\[0\]\.segment: 'attic'"):
        write_package(tmp_path / "p.split", manifest, content.files)
    assert listing(tmp_path) == set()


def in_parts(content: bytes, size: int) -> Callable[[], Iterator[bytes | memoryview]]:
    return lambda: (memoryview(content)[start : start + size] for start in range(0, len(content), size))


@pytest.mark.parametrize("size", [1, 7, 100])
def test_content_may_come_in_parts(size: int, tmp_path: Path) -> None:
    content = example()
    package = write_package(
        tmp_path / "p.split",
        content.manifest,
        {name: in_parts(held, size) for name, held in content.files.items()},
    )
    assert {name: (package.path / name).read_bytes() for name in content.files} == content.files


@pytest.mark.parametrize("altered", ["segments/device.onnx", "segments/weights/w.bin"])
@pytest.mark.parametrize("instead", [b"", b"other", b"x" * 2**16])
def test_content_that_the_manifest_does_not_name_is_never_written(
    altered: str, instead: bytes, tmp_path: Path
) -> None:
    content = example()
    with pytest.raises(PackageError, match=rf"{altered} came as {len(instead)} bytes .* cut again"):
        write_package(tmp_path / "p.split", content.manifest, content.files | {altered: in_parts(instead, 2**10)})
    assert listing(tmp_path) == set()


@pytest.mark.parametrize("change", [{"../evil.onnx": b""}, {"more.onnx": b""}, None])
def test_only_the_files_that_the_manifest_names_are_written(
    change: dict[str, bytes] | None, tmp_path: Path
) -> None:
    content = example()
    files = {} if change is None else content.files | change
    with pytest.raises(PackageError, match="are not those that the manifest names"):
        write_package(tmp_path / "p.split", content.manifest, files)
    assert listing(tmp_path) == set()
