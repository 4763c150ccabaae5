"""A small model beside the plans, for a device that is alone: checked, judged, and in the package."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from splitnet.errors import InvalidArgumentError, NotFoundError
from splitnet.onnx_session import OnnxSession
from splitnet.package import open_package
from tests.graph.models import Net
from tests.partition.jobs import calibration, job

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 8)).astype(np.float32)
#: The class is the larger of the first two numbers.
LABELS = X[:, :2].argmax(axis=1)


def model(width: int, weights: np.ndarray, *, name: str = "y", inputs: int = 8) -> onnx.ModelProto:
    """The first `width` numbers times `weights`, by way of a layer that changes nothing."""
    net = Net()
    first = net.op("MatMul", "x", net.const(np.eye(inputs, width), np.float32), out="h")
    net.op("MatMul", first, net.const(weights, np.float32), out=name)
    return net.proto({"x": ["N", inputs]}, {name: ["N", 2]})


BIG = model(8, np.eye(8, 2))


def small(tmp_path: Path, proto: onnx.ModelProto) -> Path:
    path = tmp_path / "small.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def test_the_backup_is_in_the_package_with_its_accuracy(tmp_path: Path) -> None:
    # It looks at the first number alone, and is right where that decides.
    backup = small(tmp_path, model(1, np.array([[1.0, -1.0]])))
    data = calibration(tmp_path, x=X, labels=LABELS)
    package = open_package(job(BIG, tmp_path, backup=backup, calibration=data).package.path)
    entry = package.manifest.backup
    assert entry is not None
    assert entry.accuracy == pytest.approx(float(((X[:, 0] < 0) == LABELS).mean()))
    assert [tensor.name for tensor in (*entry.inputs, *entry.outputs)] == ["x", "y"]
    y = OnnxSession(package.read_file(entry), name="backup").run({"x": X})["y"]
    np.testing.assert_allclose(y, X[:, :1] * np.array([1.0, -1.0], np.float32))
    assert package.check() > entry.size_bytes


def test_without_labels_nothing_is_said_of_its_accuracy(tmp_path: Path) -> None:
    package = job(BIG, tmp_path, backup=small(tmp_path, model(1, np.ones((1, 2))))).package
    assert package.manifest.backup is not None
    assert package.manifest.backup.accuracy is None
    assert job(BIG, tmp_path).package.manifest.backup is None


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (model(1, np.ones((1, 2)), name="z"), "the model answers 'y' .* which is not there in the backup"),
        (model(1, np.ones((1, 2)), inputs=9), "the backup takes 'x' .* which is float32.* there in the model"),
    ],
)
def test_a_model_that_takes_or_answers_something_else_is_refused(
    other: onnx.ModelProto, text: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgumentError, match=text):
        job(BIG, tmp_path, backup=small(tmp_path, other))


def test_a_backup_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"missing\.onnx: no such file"):
        job(BIG, tmp_path, backup=tmp_path / "missing.onnx")
