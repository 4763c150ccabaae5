"""Packages of further versions of the classifier: one that can be trained, and ones with other weights."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from splitnet.package import Manifest, Package, StepEntry, TensorEntry, TrainingEntry, open_package, read_manifest
from splitnet.package.training import state_of
from splitnet.tensors import Array
from tests.programs.classifier import CLASSES, WIDTH, draw

#: What learns in these packages: the head of the device's exit.
HEAD = "low_y_w"
_STEP = b"no step is taken in these tests"


def trainable(source: Path, target: Path) -> Package:
    """Write `source` to `target` with a training entry for the head of its device's exit."""
    shutil.copytree(source, target)
    (target / "train").mkdir()
    (target / "train" / "sgd.onnx").write_bytes(_STEP)
    parameters = (TensorEntry(name=HEAD, dtype="float32", shape=(WIDTH, CLASSES)),)
    manifest = read_manifest(source)
    segment = manifest.segment_of("device")
    assert segment is not None
    step = StepEntry(
        file="train/sgd.onnx",
        sha256=hashlib.sha256(_STEP).hexdigest(),
        size_bytes=len(_STEP),
        optimiser="sgd",
        state=state_of("sgd", parameters),
    )
    entry = TrainingEntry(
        segment=segment.id,
        scope="exits",
        output="low_y",
        scores="probabilities",
        classes=CLASSES,
        inputs=segment.inputs,
        parameters=parameters,
        steps=(step,),
    )
    write_manifest(target, manifest.model_copy(update={"training": (entry,)}))
    return open_package(target)


def write_manifest(package: Path, manifest: Manifest) -> None:
    (package / "manifest.json").write_text(manifest.model_dump_json())


def head_of(package: Package) -> Array:
    """Return the parameters that a package's device segment holds, float32 `[d]`."""
    segment = package.manifest.segment_of("device")
    assert segment is not None
    return weights(package.path / segment.file)[HEAD].ravel()


def weights(path: Path) -> dict[str, Array]:
    """Return the initialisers of an ONNX file, as the `onnx` package reads them."""
    model = onnx.load(path)
    return {tensor.name: numpy_helper.to_array(tensor, str(path.parent)) for tensor in model.graph.initializer}


def fitted_head(package: Package) -> Array:
    """Return a good head for the features of the device's segment, float32 `[d]`: what learning would end at."""
    x, labels = draw(4000, seed=1)
    segment = package.manifest.segment_of("device")
    assert segment is not None
    features = np.maximum(x @ weights(package.path / segment.file)["low_w"], 0)
    fitted: Array = np.linalg.lstsq(features, np.where(np.eye(CLASSES)[labels], 5.0, -5.0), rcond=None)[0]
    return fitted.astype(np.float32).ravel()


def other_weights(source: Path, target: Path, *, version: int) -> Path:
    """Write `source` to `target` as another version, in which every weight of every segment is another."""
    shutil.copytree(source, target)
    manifest = json.loads((target / "manifest.json").read_text())
    manifest["model"]["version"] = version
    for segment in manifest["segments"]:
        path = target / segment["file"]
        model = onnx.load(path)
        for tensor in model.graph.initializer:
            array = numpy_helper.to_array(tensor)
            changed = array * np.float32(1 + 0.03 * version) + np.float32(0.001 * version)
            tensor.CopyFrom(numpy_helper.from_array(changed.astype(np.float32), tensor.name))
        content = model.SerializeToString()
        path.write_bytes(content)
        segment |= {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    manifest["plans"][0]["id"] = f"{version:012x}"
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target


def damage(package: Path) -> None:
    """Flip a byte of each segment."""
    for path in package.glob("segments/*.onnx"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
