"""Without codecs the written segments answer with the very bits of the whole model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings

from splitnet.deadline import Deadline
from splitnet.errors import ModelError
from splitnet.partition import PartitionResult
from tests.graph import models as zoo
from tests.graph.random_graphs import RandomGraph, random_graphs
from tests.graph.running import same_bits
from tests.partition.jobs import answers, deployed, feeds, job, run_segments, run_whole, take
from tests.partition.models import by_chance, classifier

#: Each model with a way to cut it, at one place or two.
JOBS: dict[str, tuple[Callable[[], onnx.ModelProto], dict[str, Any]]] = {
    "residual, planned": (zoo.residual, {"place": "split"}),
    "residual, two cuts": (zoo.residual, {"cuts": (("stem",), ("block_0",))}),
    "unet across its skips": (zoo.unet, {"cuts": (("skip_1",), ("skip_1", "deep", "skip_2"))}),
    "transformer, mask rebuilt": (zoo.transformer, {"cuts": (("embedded",), ("block_0",))}),
    "transformer, planned": (zoo.transformer, {"place": "split"}),
    "two outputs, one early": (zoo.two_inputs, {"cuts": (("top", "bottom", "z", "early"),)}),
    "three heads, none used": (classifier, {"cuts": (("stage_1",), ("stage_2",)), "use_exits": False}),
    "branches that capture": (zoo.captured, {"cuts": (("left",), ("chosen", "right"))}),
    "shared weights": (zoo.shared_weights, {"place": "split"}),
    "quantised, planned": (zoo.quantised, {"place": "split"}),
    "quantised, two cuts": (zoo.quantised, {"cuts": (("q_1",), ("q_2",))}),
    "fixed batch": (zoo.fixed_batch, {"cuts": (("embedded",), ("block_0",))}),
}


@pytest.fixture(scope="module", params=JOBS)
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[PartitionResult, Path]:
    build, options = JOBS[request.param]
    folder = tmp_path_factory.mktemp("job")
    return job(build(), folder, codec="none", **options), folder / "model.onnx"


def batched(result: PartitionResult) -> bool:
    return any("batch" in entry.shape for entry in result.package.manifest.model.inputs)


def test_the_manifest_says_so(done: tuple[PartitionResult, Path]) -> None:
    result, _ = done
    verified = result.package.manifest.plan.verification
    assert (verified.level, verified.max_abs, verified.max_rel) == ("bit-equal", 0.0, 0.0)
    assert verified.agreement in (1.0, None)  # None: predicts no classes
    assert verified.samples >= (1 + 3 + 2 if batched(result) else 1)
    assert result.is_split
    assert result.given_up == ()
    assert result.package.check() > 0


def test_onnxruntime_says_so_too(done: tuple[PartitionResult, Path]) -> None:
    result, model = done
    for count in (1, 3) if batched(result) else (1,):
        inputs = feeds(result.package, count)
        split, whole = answers(result.package, inputs), run_whole(model, inputs)
        assert same_bits(split, {entry.name: whole[entry.name] for entry in result.package.manifest.model.outputs})


def test_a_compacted_batch_goes_on_as_a_smaller_whole(done: tuple[PartitionResult, Path]) -> None:
    result, model = done
    if not batched(result) or "If" in {node.op_type for node in onnx.load(model).graph.node}:
        pytest.skip("a fixed batch is never compacted, and an If decides for the batch as a whole")
    manifest = result.package.manifest
    inputs = feeds(result.package, 6)
    keep = [np.array([4, 0, 3]), np.array([2, 1])]
    made = run_segments(result.package, inputs, keep)
    kept = np.arange(6)
    for index, outputs in enumerate(made):
        expected = run_whole(model, take(manifest.model.inputs, inputs, kept))
        own = [entry for entry in manifest.model.outputs if entry.name in outputs]
        for entry in own:
            assert np.array_equal(outputs[entry.name], expected[entry.name])
        if index < len(manifest.plan.wires):
            kept = kept[keep[index]]


def test_three_tiers_in_process_answer_as_the_whole(done: tuple[PartitionResult, Path]) -> None:
    result, model = done
    last = result.package.manifest.plan.last_tier
    for count in (1, 4) if batched(result) else (1,):
        inputs = feeds(result.package, count, seed=count)
        whole = run_whole(model, inputs)
        with deployed(result.package) as device:
            answer = device.submit(inputs, Deadline.after_ms(60_000)).result(timeout=60)
        assert answer.exits == (last,) * count
        assert answer.outputs.keys() == {entry.name for entry in result.package.manifest.model.outputs}
        for name, array in answer.outputs.items():
            # Tiers let onnxruntime rewrite all it likes, for other instructions and other last bits.
            np.testing.assert_allclose(array, whole[name], rtol=1e-4, atol=1e-5)


def test_every_weight_is_in_the_segment_that_reads_it(tmp_path: Path) -> None:
    proto = zoo.residual()
    result = job(proto, tmp_path, codec="none", cuts=(("stem",), ("block_0",)))
    total = sum(len(tensor.raw_data) for tensor in proto.graph.initializer)
    assert sum(segment.param_bytes for segment in result.package.manifest.segments) == total
    assert all(segment.param_bytes > 0 for segment in result.package.manifest.segments)


def test_segments_that_answer_otherwise_are_never_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the segments differ from the whole model by up to .*--cut"):
        job(by_chance(), tmp_path, codec="none", cuts=(("t",),))
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random_graphs())
def test_random_graphs_split_to_the_bit_or_not_at_all(
    tmp_path_factory: pytest.TempPathFactory, graph: RandomGraph
) -> None:
    folder = tmp_path_factory.mktemp("random")
    try:
        result = job(graph.proto, folder, codec="none", place="split", profile_s=0.01)
    except ModelError as err:
        assert "cannot be split" in str(err)  # noqa: PT017  (either end is right)
        return
    assert result.package.manifest.plan.verification.max_abs == 0.0
    inputs = feeds(result.package, 3)
    whole = run_whole(folder / "model.onnx", inputs)
    assert same_bits(answers(result.package, inputs), {name: whole[name] for name in graph.outputs})
