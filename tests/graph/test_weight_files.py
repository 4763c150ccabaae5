"""Weights as files: named by content, stored once, and the model runs on them as before."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from splitnet.errors import ModelError
from splitnet.graph import WEIGHTS_FOLDER, WeightStore, linked_bytes, load_model, model_bytes
from splitnet.onnx_session import LinkedModel, OnnxSession
from splitnet.tensors import Array
from tests.graph.models import Net, captured, loaded, samples
from tests.graph.running import run, same_bits

WIDE = 32
LEAST = 4 * WIDE * WIDE


def layers(count: int = 2, *, same: bool = False) -> onnx.ModelProto:
    net = Net()
    at, shared = "x", net.weight(WIDE, WIDE)
    for _ in range(count):
        at = net.op("Add", net.op("MatMul", at, shared if same else net.weight(WIDE, WIDE)), net.weight(WIDE))
    net.op("Identity", at, out="y")
    return net.proto({"x": ["N", WIDE]}, {"y": ["N", WIDE]})


def written(folder: Path, model: ir.Model, store: WeightStore) -> Path:
    """Write a model as a package does, and return its path."""
    content, files = store.split(model)
    (folder / WEIGHTS_FOLDER).mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / WEIGHTS_FOLDER / file.name).write_bytes(b"".join(file.parts()))
    path = folder / "segment.onnx"
    path.write_bytes(content)
    return path


def external(proto: onnx.ModelProto, folder: Path) -> ir.Model:
    """Load a model from a file with all its weights beside it, each at an offset."""
    onnx.save_model(proto, folder / "model.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    return load_model(folder / "model.onnx")


@pytest.mark.parametrize("outside", [True, False])
def test_a_split_model_runs_as_before_by_path_and_from_memory(outside: bool, tmp_path: Path) -> None:  # noqa: FBT001
    model = external(layers(), tmp_path) if outside else loaded(layers(), tmp_path)
    before = model_bytes(model)
    path = written(tmp_path / "out", model, WeightStore(least_bytes=LEAST))
    feeds = samples(model, 3)
    whole = run(model, feeds)
    linked = LinkedModel(path.read_bytes(), path.parent)
    for source in (path, linked):
        for prepack in (True, False):
            session = OnnxSession(source, name="segment", optimisation="basic", prepack=prepack)
            assert same_bits(session.run(feeds), whole)
    assert model_bytes(model) == before
    onnx.checker.check_model(str(path))
    assert same_bits(run(load_model(path), feeds), whole)


def test_files_are_named_by_content_and_only_large_weights_get_one(tmp_path: Path) -> None:
    proto = layers(3)
    content, files = WeightStore(least_bytes=LEAST).split(loaded(proto, tmp_path))
    large = [t for t in proto.graph.initializer if tuple(t.dims) == (WIDE, WIDE)]
    read = {t.name for t in large} - {proto.graph.initializer[0].name}  # the first one, which no layer reads
    digests = {hashlib.sha256(t.raw_data).hexdigest() for t in large if t.name in read}
    assert {file.sha256 for file in files} == digests
    assert [file.name for file in files] == sorted(f"{digest[:32]}.bin" for digest in digests)
    assert {file.size_bytes for file in files} == {LEAST}
    assert all(hashlib.sha256(b"".join(file.parts())).hexdigest() == file.sha256 for file in files)
    stayed = {t.name for t in onnx.load_from_string(content).graph.initializer if t.HasField("raw_data")}
    assert stayed == {t.name for t in proto.graph.initializer if tuple(t.dims) == (WIDE,)}


def test_a_weight_of_several_nodes_or_models_is_one_file(tmp_path: Path) -> None:
    model = loaded(layers(3, same=True), tmp_path)
    store = WeightStore(least_bytes=LEAST)
    (content, (file,)), again = store.split(model), store.split(model)
    assert again == (content, (file,))
    assert again[1][0] is file


def test_the_bytes_do_not_depend_on_where_the_weights_came_from(tmp_path: Path) -> None:
    contents = set()
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        contents.add(WeightStore(least_bytes=1).split(external(layers(), tmp_path / name))[0])
    assert len(contents) == 1


def test_weights_in_subgraphs_are_taken_out_too(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).standard_normal((WIDE, WIDE)).astype(np.float32)
    branch = helper.make_graph(
        [helper.make_node("MatMul", ["x", "inner"], ["then"])],
        "then",
        [],
        [helper.make_tensor_value_info("then", 1, None)],
        [numpy_helper.from_array(weight, "inner")],
    )
    other = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["else"])], "else", [], [helper.make_tensor_value_info("else", 1, None)]
    )
    net = Net()
    total = net.op("ReduceSum", "x", keepdims=0)
    net.op(
        "If", net.op("Greater", total, net.const(0, np.float32)), then_branch=branch, else_branch=other, out="y"
    )
    model = loaded(net.proto({"x": ["N", WIDE]}, {"y": ["N", WIDE]}), tmp_path)
    path = written(tmp_path / "out", model, WeightStore(least_bytes=LEAST))
    assert len(list((path.parent / WEIGHTS_FOLDER).iterdir())) == 1
    feeds = {"x": np.ones((2, WIDE), np.float32)}
    assert same_bits(OnnxSession(path, name="segment", optimisation="basic").run(feeds), run(model, feeds))


def test_text_and_attributes_stay(tmp_path: Path) -> None:
    model = loaded(captured(), tmp_path)
    words = ir.StringTensor(np.array([b"a" * 999] * 99, object), name="words")
    value = ir.Value(name="words", const_value=words, type=ir.TensorType(ir.DataType.STRING), shape=ir.Shape([99]))
    model.graph.register_initializer(value)
    _, files = WeightStore(least_bytes=1).split(model)
    assert b"a" * 999 not in b"".join(part for file in files for part in file.parts())


def narrow(weight: Array) -> onnx.ModelProto:
    net = Net()
    net.weights.append(numpy_helper.from_array(weight, "w"))
    net.op("Cast", net.op("Gather", "w", net.op("Cast", "x", to=7)), to=1, out="y")
    return net.proto({"x": ["N"]}, {"y": ["N", 9]})


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.float16, np.float64, np.bool_])
def test_any_element_type_keeps_its_bytes(dtype: type[np.generic], tmp_path: Path) -> None:
    weight = np.arange(27).reshape(3, 9).astype(dtype)
    _, (file,) = WeightStore(least_bytes=1).split(loaded(narrow(weight), tmp_path))
    assert b"".join(file.parts()) == weight.tobytes()


def test_a_source_that_shrank_or_went_is_named(tmp_path: Path) -> None:
    model = external(layers(), tmp_path)
    _, files = WeightStore(least_bytes=LEAST).split(model)
    (tmp_path / "w.bin").write_bytes(b"short")
    with pytest.raises(
        ModelError, match=r"w\.bin: cannot be read \(it ends \d+ bytes too early\); restore the file"
    ):
        [list(file.parts()) for file in files]
    with pytest.raises(ModelError, match="too early"):
        WeightStore(least_bytes=LEAST).split(model)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(ModelError, match=r"w\.bin: cannot be read \(No such file"):
        WeightStore(least_bytes=LEAST).split(model)


def test_linked_bytes_leave_weights_where_they_are(tmp_path: Path) -> None:
    model = external(layers(), tmp_path)
    content = linked_bytes(model)
    assert len(content) < LEAST
    feeds = samples(model, 2)
    session = OnnxSession(LinkedModel(content, tmp_path), name="model", optimisation="basic")
    assert same_bits(session.run(feeds), run(model, feeds))
