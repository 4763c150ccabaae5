"""What a job refuses, and that it then leaves nothing behind; and what it tells on the way."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.cost import default_site
from splitnet.errors import InvalidArgumentError, ModelError, NotFoundError, PackageError
from splitnet.package import ModelEntry, TensorEntry, open_package
from splitnet.partition import PartitionOptions, partition
from splitnet.partition.pack import default_name
from tests.graph import models as zoo
from tests.partition.jobs import job
from tests.partition.models import sequence


def make_file(path: Path) -> None:
    path.write_text("mine")


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.txt").write_text("mine")


@pytest.mark.parametrize(("make", "text"), [(make_file, "is a file"), (make_folder, "no package")])
def test_something_else_in_the_way_is_told_before_any_work(make: Any, text: str, tmp_path: Path) -> None:
    make(tmp_path / "out.split")
    with pytest.raises(PackageError, match=rf"out\.split: is a .*{text}|out\.split: {text}"):
        job(tmp_path / "missing.onnx", tmp_path)
    assert (tmp_path / "out.split").is_file() == (make is make_file)


def test_a_package_in_the_way_is_replaced(tmp_path: Path) -> None:
    first = job(zoo.residual(), tmp_path, codec="none", cuts=(("stem",),))
    second = job(zoo.residual(), tmp_path, place="all-cloud")
    assert first.package.path == second.package.path
    assert open_package(first.package.path) == second.package
    assert second.package.check() > 0


@pytest.mark.parametrize("content", [b"", b"not ONNX at all", b"\x08\x08"])
def test_what_is_no_model_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.onnx: "):
        job(path, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["model.onnx"]


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"missing\.onnx: no such file"):
        job(tmp_path / "missing.onnx", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_open_axis_beside_the_batch_must_be_fixed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"axis 1 of input 'x' is open \(length\)"):
        job(sequence(), tmp_path)
    with pytest.raises(NotFoundError, match="no input has an open axis 'width'"):
        job(sequence(), tmp_path, axis_sizes={"width": 3})
    with pytest.raises(InvalidArgumentError, match="axis 'length': expected a size of at least 1"):
        job(sequence(), tmp_path, axis_sizes={"length": 0})
    result = job(sequence(), tmp_path, axis_sizes={"length": 6}, codec="none", cuts=(("t",),))
    assert result.package.manifest.model.inputs[0].shape == ("batch", 6, 4)
    assert result.package.manifest.plan.wires[0].tensors[0].shape == ("batch", 6, 4)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_profile_takes_some_time(seconds: float, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="seconds"):
        job(zoo.residual(), tmp_path, profile_s=seconds)


def test_name_and_version_are_as_asked_or_as_the_file_is_called(tmp_path: Path) -> None:
    named = job(zoo.residual(), tmp_path, place="all-device", name="Net-1_b", version=7)
    assert (named.package.manifest.model.name, named.package.manifest.model.version) == ("Net-1_b", 7)
    path = tmp_path / "Ré s.v2.onnx"
    path.write_bytes(zoo.residual().SerializeToString())
    assert job(path, tmp_path, place="all-device").package.manifest.model.name == "R__s_v2"


@given(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=200))
def test_any_file_name_gives_a_name_that_a_manifest_takes(stem: str) -> None:
    tensor = TensorEntry(name="x", dtype="float32", shape=(1,))
    name = default_name(Path(f"{stem}.onnx"))
    entry = ModelEntry(name=name, version=1, sha256="0" * 64, opset=17, inputs=(tensor,), outputs=(tensor,))
    assert entry.name == name
    if stem.isascii() and stem.isalnum() and len(stem) <= 128:
        assert name == stem


def test_a_job_tells_how_far_it_is(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(zoo.residual().SerializeToString())
    told: list[tuple[str, float]] = []
    options = PartitionOptions(model=path, output=tmp_path / "o.split", site=default_site(), profile_s=0.05)
    partition(options, lambda step, share: told.append((step, share)))
    steps = list(dict.fromkeys(step for step, _ in told))
    assert steps[0].startswith("load")
    assert "profile" in steps
    assert steps[-1] == "done"
    shares = [share for _, share in told]
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert shares == sorted(shares)
