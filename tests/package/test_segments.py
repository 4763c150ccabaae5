"""Segment files: nothing that was altered, cut short or led elsewhere is ever handed out."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splitnet.errors import PackageError
from splitnet.package import Package, open_package, write_package
from tests.package.strategies import example


@pytest.fixture
def package(tmp_path: Path) -> Package:
    content = example()
    return write_package(tmp_path / "p.split", content.manifest, content.files)


WEIGHTS = "segments/weights/w.bin"


def device_file(package: Package) -> Path:
    return package.path / package.manifest.segments[0].file


def refuses(package: Package, text: str) -> None:
    """The manifest still opens, but `check` and `read_segment` refuse the device's file and name it."""
    reopened = open_package(package.path)
    for read in (reopened.check, lambda: reopened.read_segment(reopened.manifest.segments[0])):
        with pytest.raises(PackageError, match=text) as caught:
            read()
        assert str(device_file(package)) in str(caught.value)


def test_each_file_is_read_as_it_is(package: Package) -> None:
    files = example().files
    models = [package.read_segment(segment) for segment in package.manifest.segments]
    beside = [package.path / "segments/cloud.onnx", package.path / "segments/cloud-2.onnx"]
    assert models == [files["segments/device.onnx"], *beside]
    (training,) = package.manifest.training
    for entry in training.files:
        assert package.read_file(entry) == files[entry.file]
    assert package.check() == sum(map(len, files.values()))


@pytest.mark.parametrize("name", ["segments/cloud.onnx", WEIGHTS])
def test_a_segment_with_weights_is_opened_only_if_all_its_files_are_right(name: str, package: Package) -> None:
    device, cloud, other = package.manifest.segments
    content = (package.path / name).read_bytes()
    (package.path / name).write_bytes(content[::-1])
    for read in (package.check, lambda: package.read_segment(cloud)):
        with pytest.raises(PackageError, match=f"{name}: SHA-256 is") as caught:
            read()
        assert "altered or damaged" in str(caught.value)
    (package.path / name).write_bytes(content[:-1])
    with pytest.raises(PackageError, match=f"{name}: {len(content) - 1} bytes, but the manifest says"):
        package.read_segment(cloud)
    (package.path / name).unlink()
    with pytest.raises(PackageError, match=f"{name}: cannot be read"):
        package.read_segment(cloud)
    assert package.read_segment(device) == example().files["segments/device.onnx"]
    if name == WEIGHTS:
        with pytest.raises(PackageError, match=f"{name}: cannot be read"):
            package.read_segment(other)


def test_weights_that_a_link_leads_to_outside_are_refused(package: Package) -> None:
    outside = package.path.parent / "outside.bin"
    (package.path / WEIGHTS).rename(outside)
    (package.path / WEIGHTS).symlink_to(outside)
    with pytest.raises(PackageError, match="a link that leaves the package"):
        package.read_segment(package.manifest.segments[1])


def test_an_altered_step_is_refused(package: Package) -> None:
    step = package.manifest.training[0].steps[0]
    (package.path / step.file).write_bytes(b"!" * step.size_bytes)
    with pytest.raises(PackageError, match=r"train/sgd\.onnx: SHA-256 is .* altered or damaged"):
        package.read_file(step)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_altered_byte_is_noticed(package: Package, data: st.DataObject) -> None:
    content = bytearray(example().files["segments/device.onnx"])
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    device_file(package).write_bytes(content)
    refuses(package, "SHA-256 is [0-9a-f]{64}, but the manifest says .* altered or damaged")


@given(st.integers(0, 60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_other_length_is_noticed(package: Package, size: int) -> None:
    right = example().files["segments/device.onnx"]
    if size != len(right):
        device_file(package).write_bytes(right[:size].ljust(size, b"."))
        refuses(package, f"{size} bytes, but the manifest says {len(right)}")


def test_another_segments_file_of_the_same_size_is_noticed(package: Package) -> None:
    device_file(package).write_bytes(example().files["segments/device.onnx"][::-1])
    refuses(package, "SHA-256")


def remove(file: Path) -> None:
    file.unlink()


def link_to_itself(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def link_to_nothing(file: Path) -> None:
    file.unlink()
    file.symlink_to("nothing")


@pytest.mark.parametrize("damage", [remove, link_to_itself, link_to_nothing])
def test_a_file_that_is_not_there_is_named(package: Package, damage: Callable[[Path], None]) -> None:
    damage(device_file(package))
    refuses(package, "cannot be read: .*; copy the package again")


def test_a_folder_in_place_of_a_file_is_refused(package: Package) -> None:
    device_file(package).unlink()
    device_file(package).mkdir()
    refuses(package, "bytes, but the manifest says|cannot be read")


def test_a_link_that_leaves_the_package_is_refused_even_to_the_same_bytes(package: Package) -> None:
    outside = package.path.parent / "outside.onnx"
    device_file(package).rename(outside)
    device_file(package).symlink_to(outside)
    refuses(package, "a link that leaves the package")


def test_a_folder_that_is_a_link_out_of_the_package_is_refused(package: Package) -> None:
    outside = package.path.parent / "outside"
    device_file(package).parent.rename(outside)
    (package.path / "segments").symlink_to(outside)
    refuses(package, "a link that leaves the package")


def test_a_link_within_the_package_and_a_link_to_the_package_are_followed(package: Package) -> None:
    device_file(package).rename(package.path / "elsewhere.onnx")
    device_file(package).symlink_to("../elsewhere.onnx")
    alias = package.path.parent / "alias.split"
    alias.symlink_to(package.path)
    for path in (package.path, alias):
        reopened = open_package(path)
        content = reopened.read_segment(reopened.manifest.segments[0])
        assert content == example().files["segments/device.onnx"]
