"""Codecs in whole jobs: what they cost in answers, when they are given up, and when they cannot be had."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from splitnet.deadline import Deadline
from splitnet.errors import InvalidArgumentError, ModelError
from splitnet.partition import PartitionResult
from tests.graph import models as zoo
from tests.graph.models import Net
from tests.partition.jobs import answers, calibration, deployed, job, run_whole, site
from tests.partition.models import outlier

#: So slow that a byte counts for more than the time of any codec.
SLOW = site(bandwidth_bps=1e3)


def codecs(result: PartitionResult) -> list[str]:
    return [tensor.codec for wire in result.package.manifest.plan.wires for tensor in wire.tensors]


def images(folder: Path, count: int = 40) -> Path:
    return calibration(folder, x=np.random.default_rng(1).standard_normal((count, 3, 8, 8)).astype(np.float32))


@pytest.mark.parametrize(("codec", "dtype", "most"), [("u8", "uint8", 0.1), ("f16", "float16", 1e-3)])
def test_a_codec_makes_the_answer_right_to_a_tolerance(
    codec: str, dtype: str, most: float, tmp_path: Path
) -> None:
    samples = images(tmp_path)
    result = job(zoo.residual(), tmp_path, codec=codec, cuts=(("stem",), ("block_0",)), calibration=samples)
    assert codecs(result) == [codec, codec]
    manifest = result.package.manifest
    for wire, tensor in zip(manifest.plan.wires, ("stem", "block_0"), strict=True):
        assert [(sent.name, sent.dtype) for sent in wire.tensors] == [(f"{tensor}.{codec}", dtype)]
        assert wire.tensors[0].bytes_per_sample == 4 * 8 * 8 * np.dtype(dtype).itemsize
    assert manifest.plan.verification.level == "tolerance"
    assert 0 < manifest.plan.verification.max_abs < most
    assert (manifest.plan.verification.agreement or 0) > 0.9
    assert manifest.plan.verification.samples > 40
    inputs = {"x": np.load(samples)["x"][:6]}
    whole = run_whole(tmp_path / "model.onnx", inputs)["y"]
    split = answers(result.package, inputs)["y"]
    assert 0 < np.max(np.abs(split - whole)) <= manifest.plan.verification.max_abs * 1.01
    with deployed(result.package) as device:
        answer = device.submit(inputs, Deadline.after_ms(60_000)).result(timeout=60)
    np.testing.assert_allclose(answer.outputs["y"], whole, atol=most)


def test_without_calibration_auto_never_takes_u8(tmp_path: Path) -> None:
    result = job(zoo.residual(), tmp_path, cuts=(("stem",),))
    assert codecs(result) == ["f16"]


def test_with_calibration_auto_takes_the_smallest_that_keeps_the_answers(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((300, 3)).astype(np.float32)
    x[:, 1] += np.sign(x[:, 1] - x[:, 2])  # no sample is so near to even that a step of u8 decides
    easy = job(outlier(0.0, 1.0), tmp_path, cuts=(("t",),), site=SLOW, calibration=calibration(tmp_path, x=x))
    assert codecs(easy) == ["u4"]
    assert easy.given_up == ()


@pytest.mark.parametrize(
    ("offset", "scale", "given_up", "taken"),
    # The largest value alone, which topk sends, says which of two is larger.
    [(0.0, 1000.0, ("u4", "u8"), {"u8c"}), (2000.0, 1.0, ("u4", "u8", "u8c"), {"none", "topk"})],
)
def test_auto_gives_up_codecs_that_change_answers(
    offset: float, scale: float, given_up: tuple[str, ...], taken: set[str], tmp_path: Path
) -> None:
    x = np.random.default_rng(0).standard_normal((300, 3)).astype(np.float32)
    samples = calibration(tmp_path, x=x)
    result = job(outlier(offset, scale), tmp_path, cuts=(("t",),), site=SLOW, calibration=samples)
    assert set(given_up) <= set(result.given_up)
    assert set(codecs(result)) <= taken
    assert (result.package.manifest.plan.verification.agreement or 0) >= 0.995
    assert (result.package.manifest.plan.verification.level == "bit-equal") == (codecs(result) == ["none"])
    insisted = job(outlier(offset, scale), tmp_path, codec="u8", cuts=(("t",),), calibration=samples)
    assert insisted.given_up == ()
    assert codecs(insisted) == ["u8"]
    assert (insisted.package.manifest.plan.verification.agreement or 1) < 0.9


def test_f16_is_not_had_where_it_would_overflow(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    samples = calibration(tmp_path, x=x)
    proto = outlier(0.0, 1e6)
    with pytest.raises(ModelError, match=r"the cut \['t'\] cannot be sent as asked"):
        job(proto, tmp_path, codec="f16", cuts=(("t",),), calibration=samples)
    assert "f16" not in codecs(job(proto, tmp_path, cuts=(("t",),), calibration=samples))


def test_calibration_data_with_infinities_still_give_a_range(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    x[3, 0], x[4, 0] = np.inf, np.nan
    result = job(outlier(0.0, 1.0), tmp_path, codec="u8", cuts=(("t",),), calibration=calibration(tmp_path, x=x))
    assert codecs(result) == ["u8"]
    assert np.isfinite(answers(result.package, {"x": x[:3]})["y"]).all()


def regressor(*, classes: bool) -> onnx.ModelProto:
    """Answers one number a sample, or four values beside two classes, from eight that codecs change."""
    net, rng = Net(), np.random.default_rng(0)
    net.op("Identity", "x", out="t")
    net.op("MatMul", "t", net.const(rng.standard_normal((8, 4 if classes else 1)), np.float32), out="y")
    outputs: dict[str, list[int | str]] = {"y": ["N", 2, 2] if classes else ["N", 1]}
    if classes:
        net.nodes[-1].output[0] = "flat"
        net.op("Reshape", "flat", net.const([-1, 2, 2]), out="y")
        net.op("MatMul", "t", net.const(np.eye(8)[:, :2], np.float32), out="classes")
        outputs["classes"] = ["N", 2]
    return net.proto({"x": ["N", 8]}, outputs)


@pytest.mark.parametrize("classes", [False, True])
def test_values_are_held_to_their_own_limit(classes: bool, tmp_path: Path) -> None:  # noqa: FBT001
    x = np.random.default_rng(1).standard_normal((100, 8)).astype(np.float32)
    if classes:
        x[:, 0] = 4 * np.where(np.arange(100) % 2, 1, -1)  # the classes are never in doubt
        x[:, 1] = -x[:, 0]
    samples = calibration(tmp_path, x=x)
    result = job(regressor(classes=classes), tmp_path, cuts=(("t",),), site=SLOW, calibration=samples)
    checked = result.package.manifest.plan.verification
    assert checked.max_rel_values is not None
    assert checked.max_rel_values <= 0.01
    assert (checked.agreement is not None) == classes
    assert "u4" in result.given_up
    looser = job(
        regressor(classes=classes), tmp_path, cuts=(("t",),), site=SLOW, calibration=samples, max_accuracy_drop=0.2
    )
    assert (looser.package.manifest.plan.verification.max_rel_values or 0) > 0.01


def test_labels_are_classes_of_the_model(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    samples = calibration(tmp_path, x=x, labels=np.full(20, 2))
    with pytest.raises(InvalidArgumentError, match=r"labels: expected classes from 0 to 1, .* got 2 to 2"):
        job(outlier(0.0, 1.0), tmp_path, calibration=samples)


def test_what_broke_one_plan_is_not_picked_again_though_it_kept_another(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((64, 3)).astype(np.float32)
    search = job(outlier(0.0, 1.0), tmp_path, calibration=calibration(tmp_path, x=x)).search

    def ways(tensor: str) -> set[str]:
        return {way.codec for entry in search.costs.table.tensors if entry.id == tensor for way in entry.ways}

    assert "u8" in ways("t")
    search._kept.add(("t", "u8"))
    search._broken.update((f"elsewhere {number}", "u8") for number in range(10))
    assert "u8" in ways("t")
    assert "u8" not in ways("x")
    search._broken.add(("t", "u8"))
    assert "u8" not in ways("t")
    assert "none" in ways("t")
