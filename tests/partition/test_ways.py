"""How tensors are sent: codings where links are slow, inputs in an encoding of their own, learned bottlenecks."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from splitnet.coding import encode
from splitnet.deadline import Deadline
from splitnet.partition import PartitionResult, trainer
from splitnet.tensors import Array
from tests.graph import models as zoo
from tests.graph.models import Net
from tests.partition.jobs import calibration, deployed, job, run_whole, site

SLOW = site(device_speed=0.5, bandwidth_bps=2e5, uplink_bps=2e5)


def sent(result: PartitionResult) -> list[tuple[str, str]]:
    return [(t.codec, t.coding) for wire in result.package.manifest.plan.wires for t in wire.tensors]


def on_bytes(shape: tuple[int | str, ...], *, binary: bool = False) -> onnx.ModelProto:
    """A classifier of pictures, `[N, 3, 32, 32]` bytes or bits."""
    net = Net()
    values = net.op("Cast", "x", to=onnx.TensorProto.FLOAT)
    scaled = net.op("Mul", values, net.const(1.0 if binary else 1 / 255, np.float32))
    kernel = np.random.default_rng(0).standard_normal((4, 3, 3, 3)) / 5
    at = net.op("Relu", net.op("Conv", scaled, net.const(kernel, np.float32), pads=[1, 1, 1, 1]))
    flat = net.op("Flatten", net.op("AveragePool", at, kernel_shape=[8, 8], strides=[8, 8]))
    weights = np.random.default_rng(1).standard_normal((4 * 16, 3))
    net.op("MatMul", flat, net.const(weights, np.float32), out="y")
    proto = net.proto({"x": list(shape)}, {"y": ["N", 3]})
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    return proto


def pictures(count: int) -> Array:
    """Smooth, as photographs are."""
    rng = np.random.default_rng(2)
    ramp = np.linspace(0, 1, 32)
    slopes = rng.uniform(-1, 1, (count, 3, 2, 1, 1))
    values = slopes[:, :, 0] * ramp[:, None] + slopes[:, :, 1] * ramp[None, :]
    return np.clip(128 + 100 * values, 0, 255).astype(np.uint8)


def answered(result: PartitionResult, inputs: dict[str, Array]) -> Array:
    with deployed(result.package) as device:
        return device.submit(inputs, Deadline.after_ms(60_000)).result(timeout=60).outputs["y"]


def test_a_slow_link_gets_an_input_as_a_picture(tmp_path: Path) -> None:
    x = pictures(64)
    result = job(
        on_bytes(("N", 3, 32, 32)), tmp_path, place="all-edge", site=SLOW, calibration=calibration(tmp_path, x=x)
    )
    tensor = result.package.manifest.plan.wires[0].tensors[0]
    codec, coding = tensor.codec, tensor.coding
    assert codec == "none"
    assert coding in ("png", "jpeg", "zstd")
    assert tensor.coded_bytes_per_sample is not None
    assert tensor.coded_bytes_per_sample < tensor.bytes_per_sample
    # The samples that it was measured on, one by one: not as the batch that they were looked at in.
    assert tensor.coded_bytes_per_sample == pytest.approx(
        np.mean([len(encode(coding, x[i : i + 1])) for i in range(4)])
    )
    assert result.found.verification.agreement is not None
    assert result.found.verification.agreement >= 0.995
    whole = run_whole(tmp_path / "model.onnx", {"x": x[:5]})["y"]
    assert np.array_equal(answered(result, {"x": x[:5]}).argmax(axis=1), whole.argmax(axis=1))


def test_without_codings_it_goes_as_it_is(tmp_path: Path) -> None:
    samples = calibration(tmp_path, x=pictures(64))
    result = job(
        on_bytes(("N", 3, 32, 32)), tmp_path, place="all-edge", site=SLOW, calibration=samples, coding="none"
    )
    assert all(coding == "none" for _, coding in sent(result))


def test_bits_are_packed_and_lose_nothing(tmp_path: Path) -> None:
    x = np.random.default_rng(3).integers(0, 2, (64, 3, 32, 32)).astype(np.uint8)
    result = job(
        on_bytes(("N", 3, 32, 32), binary=True),
        tmp_path,
        place="all-edge",
        site=SLOW,
        calibration=calibration(tmp_path, x=x),
    )
    assert sent(result) == [("bits", "none")]
    assert result.package.manifest.plan.verification.level == "bit-equal"
    tensor = result.package.manifest.plan.wires[0].tensors[0]
    assert tensor.bytes_per_sample == 3 * 32 * 32 / 8
    whole = run_whole(tmp_path / "model.onnx", {"x": x[:5]})["y"]
    np.testing.assert_allclose(answered(result, {"x": x[:5]}), whole, rtol=1e-5, atol=1e-5)


def test_coded_wires_count_with_their_measured_bytes(tmp_path: Path) -> None:
    x = np.zeros((64, 3, 8, 8), np.float32)
    x[:, :, 2:4, 2:4] = np.random.default_rng(4).standard_normal((64, 3, 2, 2))
    plain: dict[str, Any] = {"cuts": (("stem",),), "site": SLOW, "calibration": calibration(tmp_path, x=x)}
    coded = job(zoo.residual(), tmp_path, codec="none", **plain)
    assert sent(coded)[0] in (("none", "zstd"), ("none", "zstd-shuffle"))
    assert coded.package.manifest.plan.verification.level == "bit-equal"
    uncoded = job(zoo.residual(), tmp_path, codec="none", coding="none", **plain)
    assert sum(coded.placement.bytes) < sum(uncoded.placement.bytes)
    assert coded.placement.latency_ms < uncoded.placement.latency_ms


def test_a_bottleneck_is_trained_where_the_planner_picks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "TRAINING_S", 3.0)
    rng = np.random.default_rng(5)
    basis = rng.standard_normal((2, 64))
    net = Net()
    hidden = net.op(
        "Tanh", net.op("MatMul", "x", net.const(basis.T @ rng.standard_normal((2, 64)) / 8, np.float32))
    )
    net.op(
        "MatMul", net.op("Identity", hidden, out="t"), net.const(rng.standard_normal((64, 3)), np.float32), out="y"
    )
    x = (rng.standard_normal((400, 2)) @ basis).astype(np.float32)
    samples = calibration(tmp_path, x=x)
    result = job(
        net.proto({"x": ["N", 64]}, {"y": ["N", 3]}),
        tmp_path,
        cuts=(("t",),),
        bottleneck=16,
        max_accuracy_drop=0.05,
        site=site(bandwidth_bps=1e4),
        calibration=samples,
    )
    assert sent(result)[0][0] == "bottleneck"
    assert result.package.manifest.plan.wires[0].tensors[0].bytes_per_sample == 64 // 16
    whole = run_whole(tmp_path / "model.onnx", {"x": x[:200]})["y"].argmax(axis=1)
    assert (answered(result, {"x": x[:200]}).argmax(axis=1) == whole).mean() > 0.9
