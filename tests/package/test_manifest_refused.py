"""Manifests that are damaged, altered, or contradict themselves: refused, and the message names the field."""

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splitnet.errors import NotFoundError, PackageError
from splitnet.package import Manifest, open_package, read_manifest
from splitnet.package.reader import MAX_MANIFEST_BYTES
from tests.package.strategies import example

TEXT = example().manifest.model_dump_json()
BASE = json.loads(TEXT)

#: Keys that may be absent, and objects whose keys are names of the model's.
OPTIONAL = {"exits", "alternatives", "codec", "coding", "calibration", "weights", "bandwidth_from_bps"} | {
    "features",
    "held_out",
    "training",
    "coded_bytes_per_sample",
    "max_rel_values",
    "measured_ms",
    "energy_mj",
    "accuracy",
    "accuracy_drop",
    "against_version",
    "backup",
}
FREE = {"opset_domains", "outputs"}

Path_ = tuple[str | int, ...]


def written(folder: Path, content: bytes | str) -> Path:
    data = content.encode() if isinstance(content, str) else content
    (folder / "manifest.json").write_bytes(data)
    return folder


def parse(path: str) -> Path_:
    return tuple(int(part) if part.isdigit() else part for part in path.split("."))


def changed(path: Path_, value: Any) -> Any:
    """The example's JSON with `value` at `path`."""
    document = copy.deepcopy(BASE)
    place = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return document


def walk(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every value in the document with its path, the document itself first."""
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from walk(inner, (*path, key))


def dotted(path: Path_) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


NODES = list(walk(BASE))
LEAVES = [path for path, value in NODES if not isinstance(value, dict | list)]
NUMBERS = [path for path, value in NODES if isinstance(value, int | float)]
OBJECTS = [path for path, value in NODES if isinstance(value, dict) and (not path or path[-1] not in FREE)]


REQUIRED = [path for path, _ in NODES if path and path[:-1] in OBJECTS and path[-1] not in OPTIONAL]


def test_the_example_itself_is_read(tmp_path: Path) -> None:
    assert read_manifest(written(tmp_path, TEXT)) == example().manifest


@pytest.mark.parametrize("path", LEAVES, ids=dotted)
@pytest.mark.parametrize("value", [{"wrong": 1}, [[]]], ids=["object", "list"])
def test_a_value_of_another_type_is_named(path: Path_, value: Any, tmp_path: Path) -> None:
    with pytest.raises(PackageError) as caught:
        read_manifest(written(tmp_path, json.dumps(changed(path, value))))
    assert dotted(path) in str(caught.value)
    assert str(tmp_path / "manifest.json") in str(caught.value)


@pytest.mark.parametrize("path", NUMBERS, ids=dotted)
def test_a_number_in_quotes_is_no_number(path: Path_, tmp_path: Path) -> None:
    value = next(value for each, value in NODES if each == path)
    with pytest.raises(PackageError) as caught:
        read_manifest(written(tmp_path, json.dumps(changed(path, str(value)))))
    assert dotted(path) in str(caught.value)


@pytest.mark.parametrize("path", OBJECTS, ids=dotted)
def test_an_unknown_key_is_named(path: Path_, tmp_path: Path) -> None:
    with pytest.raises(PackageError) as caught:
        read_manifest(written(tmp_path, json.dumps(changed((*path, "surplus"), 1))))
    assert f"{dotted((*path, 'surplus'))}: " in str(caught.value)


@pytest.mark.parametrize("path", REQUIRED, ids=dotted)
def test_a_missing_key_is_named(path: Path_, tmp_path: Path) -> None:
    document = copy.deepcopy(BASE)
    place = document
    for part in path[:-1]:
        place = place[part]
    del place[path[-1]]
    with pytest.raises(PackageError) as caught:
        read_manifest(written(tmp_path, json.dumps(document)))
    assert f"{dotted(path)}: " in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format_version", 0),
        ("format_version", 1),
        ("format_version", 3),
        ("format_version", 5),
        ("model.name", ""),
        ("model.name", "-x"),
        ("model.name", "a/b"),
        ("model.name", "a\n"),
        ("model.version", 0),
        ("model.sha256", "A" * 64),
        ("model.opset", 0),
        ("model.inputs", []),
        ("model.outputs", []),
        ("segments", []),
        ("segments.0.id", ""),
        ("segments.0.tier", "fog"),
        ("segments.0.file", "../device.onnx"),
        ("segments.0.file", "segments/../../device.onnx"),
        ("segments.0.file", "/etc/passwd"),
        ("segments.0.file", "segments\\device.onnx"),
        ("segments.0.file", "device\0.onnx"),
        ("segments.0.file", "."),
        ("segments.0.file", ""),
        ("segments.0.file", "x" * 256),
        ("segments.0.sha256", "0" * 63),
        ("segments.0.sha256", "0" * 64 + "\n"),
        ("segments.0.size_bytes", -1),
        ("segments.0.size_bytes", 2**54),
        ("segments.0.size_bytes", 1.5),
        ("segments.0.param_bytes", -1),
        ("segments.1.weights.0.file", "segments/../../w.bin"),
        ("segments.1.weights.0.sha256", "0" * 32),
        ("segments.1.weights.0.size_bytes", -1),
        ("segments.0.predicted_ms", -0.1),
        ("segments.0.measured_ms", -1),
        ("segments.0.inputs", []),
        ("segments.0.outputs", []),
        ("segments.0.inputs.0.dtype", "float128"),
        ("segments.0.inputs.0.shape", [-1]),
        ("segments.0.inputs.0.shape", ["N"]),
        ("segments.0.inputs.0.shape", ["batch", "batch"]),
        ("segments.0.inputs.0.shape", [1] * 33),
        ("exits.0.outputs", {}),
        ("exits.0.calibration.epsilon", 0),
        ("exits.0.calibration.delta", 1),
        ("exits.0.calibration.n", 0),
        ("exits.0.calibration.bound", 1.1),
        ("plans", []),
        ("plans", [BASE["plans"][0]] * 17),
        ("plans.0.id", "xyz"),
        ("plans.0.segments", []),
        ("plans.0.wires", [BASE["plans"][0]["wires"][0]] * 3),
        ("plans.0.wires.0.to_tier", "fog"),
        ("plans.0.wires.0.tensors", []),
        ("plans.0.wires.0.tensors.0.codec", "zip"),
        ("plans.0.wires.0.tensors.0.batch_axis", 1),
        ("plans.0.wires.0.tensors.0.batch_axis", None),
        ("plans.0.wires.0.tensors.0.bytes_per_sample", 15),
        ("plans.0.wires.0.tensors.0.source", ""),
        ("plans.0.wires.0.tensors.0.coding", "gzip"),
        ("plans.0.wires.0.tensors.0.coded_bytes_per_sample", -1),
        ("plans.1.wires.0.tensors.0.coded_bytes_per_sample", 9.5),
        ("plans.0.objective", "beauty"),
        ("plans.0.value", -1),
        ("plans.0.gap", -1),
        ("plans.0.method", ""),
        ("plans.0.measured_ms", -1),
        ("plans.0.energy_mj", -1),
        ("plans.0.bandwidth_from_bps", -1),
        ("plans.0.alternatives.0.accuracy", 1.5),
        ("plans.0.alternatives.0.bytes", -1),
        ("training.0.scope", "all"),
        ("training.0.scores", "guesses"),
        ("training.0.classes", 1),
        ("training.0.inputs", []),
        ("training.0.parameters", []),
        ("training.0.steps", []),
        ("training.0.steps.0.optimiser", "lion"),
        ("training.0.steps.0.file", "../sgd.onnx"),
        ("training.0.features.outputs", []),
        ("plans.0.verification.level", "hoped"),
        ("plans.0.verification.samples", 0),
        ("plans.0.verification.agreement", 1.5),
        ("plans.0.verification.accuracy", 1.5),
        ("plans.0.verification.accuracy_drop", 1.5),
        ("plans.0.verification.level", "revised"),  # against what?
        ("plans.0.verification.against_version", 1),  # only a revised one was
    ],
)
def test_a_value_out_of_range_is_named(path: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(PackageError) as caught:
        read_manifest(written(tmp_path, json.dumps(changed(parse(path), value))))
    # A rule that spans several fields is told of the object that holds them.
    place = parse(path)
    assert dotted(place) in str(caught.value) or f"{dotted(place[:-1])}: " in str(caught.value)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(number: str, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"exits\[0\]\.threshold: expected a finite number"):
        read_manifest(written(tmp_path, TEXT.replace('"threshold":0.9', f'"threshold":{number}')))


def tensor(name: str, *shape: int, dtype: str = "float32") -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "shape": ["batch", *shape]}


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("segments.1.id", "device", "segments: id 'device' stands twice"),
        ("segments.1.file", "segments/device.onnx", "segments: file 'segments/device.onnx' stands twice"),
        ("plans.1.id", "0123456789ab", "plans: id '0123456789ab' stands twice"),
        ("plans.1.bandwidth_from_bps", 0.0, "plans: bandwidth_from_bps 0.0 stands twice"),
        ("segments.1.weights.0.sha256", "0" * 64, "weights 'segments/weights/w.bin' have another size or digest"),
        ("segments.2.weights.0.size_bytes", 1, "segment 'cloud-2': weights 'segments/weights/w.bin' have another"),
        ("segments.1.weights.0.file", "segments/device.onnx", "weights 'segments/device.onnx' are a segment's"),
        ("plans.1.segments", ["attic"], "plans[1].segments: 'attic' is not a segment"),
        ("plans.1.segments", ["cloud"], "plans[1]: segment 'cloud': input 't' is made by nothing below it"),
        ("plans.1.segments", ["cloud", "cloud-2"], "plans[1].segments: tiers ['cloud', 'cloud'] are not"),
        ("plans.0.segments", ["device", "attic"], "plans[0].segments: 'attic' is not a segment"),
        ("plans.0.segments", ["cloud", "device"], "are not in the order device, edge, cloud"),
        ("segments.1.tier", "device", "each at most once"),
        (
            "plans.0.wires.0.from_tier",
            "edge",
            "plans[0].wires[0]: goes from edge to edge; expected device to edge",
        ),
        ("plans.0.wires.1.from_tier", "device", "plans[0].wires[1]: goes from device to cloud"),
        ("plans.0.wires.0.tensors.0.name", "u", "wire device-edge: tensor 'u' is made by nothing below it"),
        ("plans.0.wires.1.tensors.0.name", "u", "wire edge-cloud: tensor 'u' is made by nothing below it"),
        (
            "segments.0.outputs.2",
            tensor("t", 9),
            "wire device-edge: tensor 't' is float32['batch', 4] but is made as",
        ),
        ("segments.0.inputs.0", tensor("w", 3), "segment 'device': input 'w' is made by nothing below it"),
        ("segments.0.inputs.0", tensor("x", 8), "segment 'device': input 'x' is float32['batch', 8] but is made"),
        ("segments.1.inputs.0", tensor("x", 3), "segment 'cloud': input 'x' is made by nothing below it"),
        ("segments.1.outputs.0", tensor("z", 5), "model.outputs: 'y' is made by nothing below it"),
        ("segments.1.outputs.0", tensor("y", 5, dtype="int64"), "model.outputs: 'y' is float32['batch', 5]"),
        ("exits.0.segment", "attic", "exits[0].segment: 'attic' is not a segment"),
        ("exits", BASE["exits"] * 2, "exits: segment 'device' has more than one exit"),
        ("exits.0.outputs", {"z": "early"}, "exits[0].outputs: answers ['z'], but the model answers ['y']"),
        ("exits.0.outputs", {"y": "late"}, "exits[0]: tensor 'late' is not an output of segment 'device'"),
        ("exits.0.confidence", "t", "exits[0].confidence: 't' is float32['batch', 4]; expected one"),
        ("segments.0.outputs.1", tensor("sure", dtype="int64"), "exits[0].confidence: 'sure' is int64['batch']"),
        ("segments.0.outputs.0", tensor("early", 5, dtype="float16"), "exits[0].outputs: 'early' is float16"),
        ("segments.0.outputs.0", tensor("early", 6), "'early' is float32['batch', 6] but stands for 'y'"),
        ("plans.0.stages.2.tier", "edge", "plans[0].stages: are of ['device', 'edge', 'edge']; expected"),
        ("plans.1.stages", BASE["plans"][1]["stages"][:2], "plans[1].stages: are of ['device', 'edge']; expected"),
        ("plans.0.stages.2.reach", 0.6, "plans[0].stages: reach grows on the way up: [1.0, 0.5, 0.6]"),
        ("backup.inputs.0", tensor("z", 3), "backup: input 'z' is made by nothing below it; at hand are ['x']"),
        ("backup.outputs.0", tensor("y", 4), "backup: answer 'y' is float32['batch', 5] but is made as"),
        ("backup.file", "segments/device.onnx", "backup: file 'segments/device.onnx' is another's"),
        ("training", BASE["training"] * 2, "training: segment 'device' stands twice"),
        ("training", BASE["training"] * 2, "training: file 'train/sgd.onnx' stands twice"),
        (
            "training.0.steps.0.file",
            "segments/device.onnx",
            "training: file 'segments/device.onnx' is a segment's",
        ),
        ("training.0.features.file", "segments/weights/w.bin", "file 'segments/weights/w.bin' is a segment's"),
        ("training.0.segment", "attic", "training[0].segment: 'attic' is no device segment of the default plan"),
        ("training.0.segment", "cloud", "training[0].segment: 'cloud' is no device segment of the default plan"),
        ("plans.0.segments", ["cloud"], "training[0].segment: 'device' is no device segment of the default plan"),
        ("training.0.output", "t", "training[0].output: 't' is no answer of an exit of segment 'device'"),
        ("training.0.classes", 6, "segment 'device' makes no 'early' of float32[batch, 6]"),
        ("exits", [], "training[0].output: 'early' is no answer of an exit of segment 'device'"),
        ("training.0.inputs.0", tensor("inner", 7), ".inputs: features make no 'inner' of float32['batch', 7]"),
        ("training.0.inputs", [tensor("inner", 4)] * 2, ".inputs: name 'inner' stands twice"),
        ("training.0.features", None, ".inputs: segment 'device' takes no 'inner' of float32['batch', 4]"),
        ("training.0.parameters.1.name", "w", "training[0].parameters: name 'w' stands twice"),
        ("training.0.parameters.0.dtype", "int8", ".parameters: 'w' is int8[4, 5]; expected float32, no batch"),
        ("training.0.parameters.0", tensor("w", 5), ".parameters: 'w' is float32['batch', 5]; expected float32"),
        ("training.0.parameters.0.name", "v", ".steps: the state of sgd is not that of the parameters: state/mom"),
        ("training.0.steps.1.state.1.shape", [6], ".steps: the state of adam is not that of the parameters"),
        ("training.0.steps.1.optimiser", "sgd", "training[0].steps: optimiser 'sgd' stands twice"),
    ],
)
def test_pieces_that_contradict_one_another_are_refused(path: str, value: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises(PackageError) as caught:
        read_manifest(written(tmp_path, json.dumps(changed(parse(path), value))))
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("version", "remedy"), [(3, "make the package anew with this version's"), (5, "read it with a newer SplitNet")]
)
def test_a_package_of_another_format_says_what_to_do(version: int, remedy: str, tmp_path: Path) -> None:
    # Such a manifest differs in more than its number, and none of that is worth a word.
    document = {key: value for key, value in BASE.items() if key != "plans"} | {"format_version": version}
    with pytest.raises(PackageError) as caught:
        read_manifest(written(tmp_path, json.dumps(document)))
    assert f"the package is of format {version}, this version reads 4; {remedy}" in str(caught.value)
    assert "plans" not in str(caught.value)


def test_a_confidence_for_the_whole_batch_is_refused(tmp_path: Path) -> None:
    document = changed(("segments", 0, "outputs", 1), {"name": "sure", "dtype": "float32", "shape": [1]})
    with pytest.raises(PackageError, match=r"exits\[0\]\.confidence"):
        read_manifest(written(tmp_path, json.dumps(document)))


def test_there_is_no_package_without_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="not a package"):
        open_package(tmp_path)
    with pytest.raises(NotFoundError, match="not a package"):
        open_package(tmp_path / "missing")
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(NotFoundError, match="not a package"):
        open_package(tmp_path)


def test_a_path_that_no_file_system_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="cannot be read"):
        open_package(tmp_path / ("x" * 300))


def test_an_oversize_manifest_is_refused_unread(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT) / "manifest.json"
    os.truncate(path, MAX_MANIFEST_BYTES + 1)
    with pytest.raises(PackageError, match=f"{MAX_MANIFEST_BYTES + 1} bytes; a manifest has at most"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"{}", b'"manifest"', b"\xff", b"{" * 5000, b"[" * 5000])
def test_what_is_no_manifest_at_all_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"manifest\.json: "):
        read_manifest(written(tmp_path, content))


@given(st.integers(0, len(TEXT.encode()) - 1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_truncated_manifest_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(PackageError, match=r"manifest\.json: "):
        read_manifest(written(tmp_path, TEXT.encode()[:length]))


@given(st.integers(0, len(TEXT.encode()) - 1), st.integers(1, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_an_altered_manifest_is_refused_or_still_whole(tmp_path: Path, place: int, flip: int) -> None:
    content = bytearray(TEXT.encode())
    content[place] ^= flip
    try:
        manifest = read_manifest(written(tmp_path, bytes(content)))
    except PackageError as err:
        assert "manifest.json: " in str(err)  # noqa: PT017  (either end is right)
    else:
        assert Manifest.model_validate_json(manifest.model_dump_json(), strict=True) == manifest
