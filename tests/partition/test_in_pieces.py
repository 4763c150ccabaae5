"""A model that runs in pieces: everything is seen, measured and verified as if it ran at once, in less memory."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.large_model import write_model
from splitnet.deadline import Deadline
from splitnet.graph import WeightStore, input_specs, load_model, observable, output_specs, weight_bytes
from splitnet.onnx_session import Optimisation
from splitnet.package import open_package
from splitnet.partition import analysis, pack
from splitnet.partition.runner import ModelRunner
from splitnet.partition.samples import random_samples
from splitnet.partition.walk import PIECE_BYTES, WHOLE_BYTES, Steps, piece_bytes_for
from splitnet.partition.whole import WholeModel
from splitnet.samples import Samples
from splitnet.tensors import Tensors
from tests.graph.models import ZOO, loaded, residual
from tests.graph.models import samples as feeds_of
from tests.graph.random_graphs import RandomGraph, random_graphs
from tests.graph.running import same_bits
from tests.partition.jobs import answers, deployed, feeds, job, run_whole

#: In a model that is quantised, what lies between two tensors of integers is one operation after optimisation.
FLOATS = sorted(ZOO.keys() - {"quantised"})
LEVELS: list[tuple[str, Optimisation]] = [*((name, "basic") for name in FLOATS), *((name, "none") for name in ZOO)]


def observed(name: str, folder: Path, *, pieces: int) -> WholeModel:
    """A model of the zoo with its shapes observed, in about so many pieces."""
    model = loaded(ZOO[name][0](), folder)
    whole_bytes = max(1, weight_bytes(model) // pieces) if pieces > 1 else WHOLE_BYTES
    return WholeModel(model, random_samples(input_specs(model), seed=0), whole_bytes=whole_bytes)


def shapes(model: ir.Model) -> dict[str | None, tuple[str, str]]:
    values = [*model.graph.inputs, *(value for node in model.graph for value in node.outputs)]
    return {value.name: (str(value.type), str(value.shape)) for value in values}


@pytest.mark.parametrize("name", ZOO)
def test_the_same_shapes_are_seen(name: str, tmp_path: Path) -> None:
    assert shapes(observed(name, tmp_path, pieces=5).model) == shapes(observed(name, tmp_path, pieces=1).model)


@pytest.mark.parametrize(("name", "level"), LEVELS)
def test_the_same_is_answered_to_the_bit(name: str, level: Optimisation, tmp_path: Path) -> None:
    model = observed(name, tmp_path, pieces=1).model
    whole = ModelRunner(model, name="whole", piece_bytes=None, optimisation=level)
    parts = ModelRunner(model, name="parts", piece_bytes=max(1, weight_bytes(model) // 5), optimisation=level)
    assert (whole.in_pieces, parts.in_pieces) == (False, True)
    batches = [feeds_of(model, count, seed=count) for count in (1, 3, 5)]
    for runner in (whole, parts):
        for alone, together in zip(map(runner.run, batches), runner.run_each(batches), strict=True):
            assert same_bits(alone, together)
    assert all(map(same_bits, whole.run_each(batches), parts.run_each(batches)))
    assert parts.run_each([]) == whole.run_each([]) == []
    assert parts.run_ms(batches[0]) > 0 < whole.run_ms(batches[0])


@given(random_graphs(most=12), st.integers(1, 64))
@settings(max_examples=30)
def test_random_graphs_answer_the_same(
    tmp_path_factory: pytest.TempPathFactory, drawn: RandomGraph, piece_bytes: int
) -> None:
    model = loaded(drawn.proto, tmp_path_factory.mktemp("drawn"))
    WholeModel(model, random_samples(input_specs(model), seed=0), whole_bytes=piece_bytes)
    batch = feeds_of(model, 3)
    runs = [
        ModelRunner(model, name="model", piece_bytes=size, optimisation="basic").run(batch)
        for size in (None, piece_bytes)
    ]
    assert same_bits(*runs)


@pytest.mark.parametrize("name", FLOATS)
def test_the_same_values_are_seen_inside(name: str, tmp_path: Path) -> None:
    whole, parts = observed(name, tmp_path, pieces=1), observed(name, tmp_path, pieces=5)
    wanted = observable(whole.model) | {spec.name for spec in whole.samples.specs}
    seen: list[Tensors] = list(whole.values(wanted, count=6, batch=4))
    assert [set(made) for made in seen] == [wanted] * 2
    gathered: list[Tensors] = [{}]
    for made in parts.values(wanted, count=6, batch=4):
        if gathered[-1].keys() >= wanted:
            gathered.append({})
        assert not gathered[-1].keys() & made.keys()
        gathered[-1] |= made
    for one, other in zip(seen, gathered, strict=True):
        assert one.keys() == other.keys()
        assert all(np.allclose(one[key], other[key], rtol=1e-5, atol=1e-6) for key in one)


@pytest.mark.parametrize("name", FLOATS)
def test_the_same_answers_to_all_samples(name: str, tmp_path: Path) -> None:
    whole, parts = observed(name, tmp_path, pieces=1), observed(name, tmp_path, pieces=5)
    one, other = whole.answers(75), parts.answers(75)
    names = {spec.name for spec in output_specs(whole.model)}
    assert one.keys() == other.keys() == names
    assert all(len(one[key]) == 75 and np.allclose(one[key], other[key], rtol=1e-5, atol=1e-6) for key in one)


def test_a_profile_of_pieces_has_every_node_once(tmp_path: Path) -> None:
    parts = observed("residual", tmp_path, pieces=5)
    shares: list[float] = []
    profile = parts.profile(seconds=0.05, on_progress=shares.append)
    assert set(profile.node_ms) == {node.name for node in parts.model.graph}
    assert profile.whole_ms == pytest.approx(sum(profile.node_ms.values()))
    assert profile.runs >= 3
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_values_are_let_go_when_nobody_reads_them_any_more(tmp_path: Path) -> None:
    model = observed("residual", tmp_path, pieces=1).model
    walk = Steps(model, piece_bytes=1).walk([feeds_of(model, 1)])
    held = []
    for step in walk:
        assert set(step.feeds[0]) == set(step.piece.takes)
        walk.carry([dict.fromkeys(step.piece.makes, np.zeros(1, np.float32))])
        held.append(len(walk._values[0]))
    # A residual block holds what it branches from and what it makes of it, with what the step took.
    assert max(held) <= 3


@pytest.mark.parametrize(
    ("whole_bytes", "expected"), [(WHOLE_BYTES, None), (3000, None), (1000, 1000), (0, 0), (-1, -1)]
)
def test_only_a_model_with_more_weights_runs_in_pieces(
    whole_bytes: int, expected: int | None, tmp_path: Path
) -> None:
    model = loaded(residual(), tmp_path)
    assert 1000 < weight_bytes(model) < 3000 < PIECE_BYTES
    assert piece_bytes_for(model, whole_bytes=whole_bytes) == expected


@pytest.mark.parametrize("options", [{"cuts": (("stem",),)}, {"place": "split"}, {}])
def test_a_job_in_pieces_writes_a_package_that_answers_the_same(
    options: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analysis, "WholeModel", partial(WholeModel, whole_bytes=500))
    monkeypatch.setattr(pack, "INLINE_BYTES", 500)
    monkeypatch.setattr(pack, "WeightStore", partial(WeightStore, least_bytes=100))
    result = job(residual(), tmp_path, codec="none", **options)
    package = open_package(result.package.path)
    assert package.manifest.plan.verification.level == "bit-equal"
    assert all(segment.measured_ms is not None for segment in package.manifest.segments)
    assert any(segment.weights for segment in package.manifest.segments)
    assert package.check() > 0
    inputs = feeds(package, 3)
    whole = run_whole(tmp_path / "model.onnx", inputs)
    assert same_bits(answers(package, inputs), whole)
    with deployed(package) as device:
        served = device.submit(inputs, Deadline.after_ms(60_000)).result(timeout=60)
    assert served.outputs.keys() == whole.keys()
    assert all(np.allclose(served.outputs[name], whole[name], rtol=1e-4, atol=1e-5) for name in whole)


_LAYERS, _WIDTH = 24, 1024
_LAYER_BYTES = 4 * _WIDTH * _WIDTH


def use_large_model(folder: str, whole_bytes: int) -> None:
    """What the test below runs in a process of its own: prints by how much its peak memory grew, in bytes."""
    import resource  # noqa: PLC0415  (not on every system)

    model = load_model(Path(folder) / "large.onnx")
    samples: Samples = random_samples(input_specs(model), seed=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    whole = WholeModel(model, samples, whole_bytes=whole_bytes)
    whole.answers(8)
    for _ in whole.values([], count=4, batch=4):
        pass
    whole.profile(seconds=0.01)
    sys.stdout.write(str((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024))


@pytest.mark.skipif(sys.platform != "linux", reason="counts resident memory as Linux does")
def test_pieces_take_a_fraction_of_the_memory(tmp_path: Path) -> None:
    write_model(tmp_path, layers=_LAYERS, width=_WIDTH)
    use = f"use_large_model({str(tmp_path)!r}, {2 * _LAYER_BYTES})"
    call = f"from tests.partition.test_in_pieces import use_large_model; {use}"
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True, timeout=60)
    # Three sessions of two layers each, and a copy on its way; in one session it would be all 24 and more.
    assert int(done.stdout) < _LAYERS // 2 * _LAYER_BYTES
