"""Several plans in one package: for which bandwidths, what they share, and what is served of them."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from splitnet.adaptive import Conditions, predict
from splitnet.deadline import Deadline
from splitnet.errors import InvalidArgumentError
from splitnet.onnx_session import OnnxSession
from splitnet.package import PlanEntry, open_package
from splitnet.partition import PartitionResult
from splitnet.partition.bandwidths import BANDWIDTHS_BPS, values_of
from splitnet.tiers import TIERS
from tests.graph.models import Net
from tests.partition.jobs import deployed, feeds, job, run_whole, site

#: Wide weights, so that they become files, and an edge that is worth its link once that is fast.
SITE = site(device_speed=0.02, bandwidth_bps=1e6, uplink_bps=1e5)


def narrowing() -> onnx.ModelProto:
    """The deeper the cut, the less crosses: 4,096 values at the input, 16 before the answer."""
    net, rng = Net(), np.random.default_rng(0)
    at, width = "x", 4096
    for step, after in enumerate((1024, 256, 64, 16)):
        weights = rng.standard_normal((width, after)) / np.sqrt(width)
        at = net.op("Tanh", net.op("MatMul", at, net.const(weights, np.float32)), out=f"t{step}")
        width = after
    net.op("MatMul", at, net.const(rng.standard_normal((width, 4)), np.float32), out="y")
    return net.proto({"x": ["N", 4096]}, {"y": ["N", 4]})


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[PartitionResult, Path]:
    folder = tmp_path_factory.mktemp("plans")
    return job(narrowing(), folder, site=SITE, plans=4, codec="none", use_exits=False, profile_s=0.3), folder


def test_each_plan_begins_where_it_is_the_best(done: tuple[PartitionResult, Path]) -> None:
    result, _ = done
    plans = sorted(result.plans, key=lambda plan: plan.bandwidth_from_bps)
    assert 2 <= len(plans) <= 4
    assert plans[0].bandwidth_from_bps == 0
    table = result.search.costs.table
    values = np.array([values_of(table, plan.found.solution.placement) for plan in plans])
    for index, plan in enumerate(plans[1:], start=1):
        well_above = [at for at, bps in enumerate(BANDWIDTHS_BPS) if bps > 4 * plan.bandwidth_from_bps]
        if index == len(plans) - 1:
            assert (values[index, well_above] <= values[:, well_above].min(axis=0) * 1.2).all()


def test_plans_say_what_their_tiers_do(done: tuple[PartitionResult, Path]) -> None:
    """Enough to predict each at any bandwidth as the planner does, with the times that were measured."""
    result, _ = done
    manifest, table = result.package.manifest, result.search.all_costs.table
    device_edge, edge_cloud = manifest.links
    assert (device_edge.bandwidth_bps, edge_cloud.bandwidth_bps) == (1e6, 1e5)

    def predicted(plan: PlanEntry, bps: float) -> float:
        links = (device_edge.model_copy(update={"bandwidth_bps": bps}), edge_cloud)
        return predict(plan, Conditions(links=links)).latency_ms

    assert manifest.plan.measured_ms is not None
    # The answer's own bytes, 16 over each link, are left out of the prediction.
    assert predicted(manifest.plan, 1e6) == pytest.approx(manifest.plan.measured_ms, rel=0.02, abs=1.5)
    for plan, found in zip(manifest.plans, result.plans, strict=True):
        assert [stage.tier for stage in plan.stages] == list(TIERS[: len(plan.wires) + 1])
        slow, fast = values_of(table, found.found.solution.placement, [2e5, 2e7])
        assert plan.bytes == pytest.approx(sum(found.found.solution.placement.bytes))
        assert predicted(plan, 2e5) - predicted(plan, 2e7) == pytest.approx(slow - fast, rel=0.02, abs=1.5)


def test_a_faster_link_moves_work_up(done: tuple[PartitionResult, Path]) -> None:
    result, _ = done
    plans = sorted(result.plans, key=lambda plan: plan.bandwidth_from_bps)
    heights = [sum(TIERS.index(tier) for tier in p.found.solution.placement.tier_of.values()) for p in plans]
    assert heights[0] < heights[-1]


def test_every_plan_answers_as_the_whole(done: tuple[PartitionResult, Path]) -> None:
    result, folder = done
    package = open_package(result.package.path)
    inputs = feeds(package, 3)
    expected = run_whole(folder / "model.onnx", inputs)["y"]
    for plan in package.manifest.plans:
        values = dict(inputs)
        for name in plan.segments:
            entry = next(segment for segment in package.manifest.segments if segment.id == name)
            path = package.path / entry.file
            onnx.checker.check_model(path)
            values |= OnnxSession(path, name=name, optimisation="basic").run(values)
        np.testing.assert_array_equal(values["y"], expected)


def test_weights_that_plans_share_stand_once(done: tuple[PartitionResult, Path]) -> None:
    result, _ = done
    manifest = result.package.manifest
    held = [entry.file for segment in manifest.segments for entry in segment.weights]
    assert len(held) > len(set(held))
    largest = max(entry.size_bytes for segment in manifest.segments for entry in segment.weights)
    assert largest == 4096 * 1024 * 4
    on_disk = sum(path.stat().st_size for path in result.package.path.rglob("*") if path.is_file())
    assert on_disk < 1.2 * sum(
        node.nbytes for node in map(_array, onnx.load(done[1] / "model.onnx").graph.initializer)
    )


def _array(tensor: onnx.TensorProto) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    return onnx.numpy_helper.to_array(tensor)


def test_tiers_serve_the_first_plan(done: tuple[PartitionResult, Path]) -> None:
    result, folder = done
    inputs = feeds(result.package, 2)
    with deployed(result.package) as device:
        answer = device.submit(inputs, Deadline.after_ms(60_000)).result(timeout=60)
    expected = run_whole(folder / "model.onnx", inputs)["y"]
    np.testing.assert_allclose(answer.outputs["y"], expected, rtol=1e-4, atol=1e-5)


def test_where_one_plan_is_the_best_everywhere_there_is_one(tmp_path: Path) -> None:
    result = job(narrowing(), tmp_path, site=site(device_speed=100.0), plans=3, codec="none")
    assert len(result.plans) == 1


def test_cuts_by_hand_make_one_plan(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="cuts by hand or one place make one plan"):
        job(narrowing(), tmp_path, cuts=(("t0",),), plans=2)
