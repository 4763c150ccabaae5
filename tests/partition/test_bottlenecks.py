"""Bottlenecks for a cut: trained through the real tail, chosen on held-out samples, refused with a reason."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from splitnet.codec import codec_for
from splitnet.errors import InvalidArgumentError, ModelError
from splitnet.graph import input_specs, record_shapes, spec_of, with_every_output
from splitnet.graph.load import model_bytes
from splitnet.learn.bottleneck.trained import LEAST_SAMPLES, Trained, Training
from splitnet.onnx_session import OnnxSession
from splitnet.partition.bottlenecks import train, untrained
from splitnet.samples import Samples
from splitnet.tensors import BATCH, TensorSpec
from tests.graph.models import Net, loaded

CLASSES, HIDDEN = 4, 32
SECONDS = 1.5


def _decoys(last: str = "") -> onnx.ModelProto:
    """Its tensor `t` [N, 32] has loud features that no answer depends on, and two quiet ones that decide.

    `last` is put before the output `y` [N, 4].
    """
    net = Net()
    loud = np.concatenate([np.full(4, 2.5), np.ones(HIDDEN - 4)])
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((HIDDEN, HIDDEN)))[0]
    net.op("MatMul", "x", net.const(loud[:, None] * basis, np.float32), out="t")
    deciding = basis.T[:, 4:6] @ np.array([[3.0, -3, 0, 0], [0, 0, 3, -3]])
    logits = net.op("MatMul", "t", net.const(deciding, np.float32), out="" if last else "y")
    if last:
        net.op(last, logits, out="y")
    return net.proto({"x": ["N", HIDDEN]}, {"y": ["N", CLASSES]})


def _observed(proto: onnx.ModelProto, folder: Path, count: int = 600) -> tuple[ir.Model, Samples]:
    model = loaded(proto, folder)
    session = OnnxSession(model_bytes(with_every_output(model)), name="all", optimisation="none")
    shape = [dim if isinstance(dim, int) else count for dim in model.graph.inputs[0].shape or ()]
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    runs = [session.run({"x": x[:batch]}) for batch in (2, 3)]
    record_shapes(model, [{name: (a.dtype.name, a.shape) for name, a in run.items()} for run in runs], (2, 3))
    return model, Samples(input_specs(model), {"x": x}, None, count)


def _trained(model: ir.Model, samples: Samples, *, reduction: int = 16, seconds: float = SECONDS) -> Trained:
    tensor = spec_of(model, "t")
    assert tensor is not None
    return train(model, tensor, ["y"], samples, training=Training(reduction, seconds))


def test_a_code_carries_what_decides(tmp_path: Path) -> None:
    """Two values of 32: plain principal components would keep two of the loud features."""
    model, samples = _observed(_decoys(), tmp_path)
    trained = _trained(model, samples, seconds=0.2)
    assert (trained.method, trained.reason, trained.held_out) == ("distillation", "", 120)
    assert trained.agreement is not None
    assert trained.agreement > 0.95


def test_an_unknown_operator_leaves_the_tensor_itself(tmp_path: Path) -> None:
    """The tensor alone does not tell which features decide: those are lost, and the result says so."""
    model, samples = _observed(_decoys("Asinh"), tmp_path)
    trained = _trained(model, samples, seconds=0.2)
    assert trained.method == "features"
    assert "operator Asinh" in trained.reason
    assert trained.agreement is not None
    assert trained.agreement < 0.6


def _network() -> onnx.ModelProto:
    """A tail with a ReLU, whose classes depend on more than a code of so few values carries at first."""
    net = Net()
    net.op("Relu", net.conv("x", (3, 16)), out="t")
    pooled = net.op("Flatten", net.op("GlobalMaxPool", net.op("Relu", net.conv("t", (16, 8)))))
    net.op("Gemm", pooled, net.weight(8, CLASSES), net.weight(CLASSES), out="y")
    return net.proto({"x": ["N", 3, 8, 8]}, {"y": ["N", CLASSES]})


def test_training_makes_the_loss_smaller(tmp_path: Path) -> None:
    model, samples = _observed(_network(), tmp_path, 200)
    before, after = (_trained(model, samples, seconds=seconds) for seconds in (0, SECONDS))
    assert before.losses.best == before.losses.first == pytest.approx(after.losses.first)
    assert before.losses.steps == before.losses.best_step == 0
    assert after.losses.best < after.losses.first
    assert 0 < after.losses.best_step <= after.losses.steps


def test_the_same_seed_begins_alike(tmp_path: Path) -> None:
    model, samples = _observed(_decoys(), tmp_path)
    one, other = (_trained(model, samples, seconds=0).bottleneck for _ in range(2))
    for mine, same in zip(one.encoder + one.decoder, other.encoder + other.decoder, strict=True):
        np.testing.assert_array_equal(mine.weight, same.weight)


def test_probabilities_are_answers_too(tmp_path: Path) -> None:
    model, samples = _observed(_decoys("Softmax"), tmp_path)
    trained = _trained(model, samples, seconds=0.2)
    assert trained.method == "distillation"
    assert trained.agreement is not None
    assert trained.agreement > 0.95


def test_outputs_without_classes_have_no_agreement(tmp_path: Path) -> None:
    net = Net()
    net.op("Relu", net.conv("x", (3, 8)), out="t")
    net.op("Sigmoid", net.conv("t", (8, 1)), out="y")
    model, samples = _observed(net.proto({"x": ["N", 3, 6, 6]}, {"y": ["N", 1, 6, 6]}), tmp_path, 64)
    trained = _trained(model, samples, reduction=4, seconds=0.5)
    assert (trained.agreement, trained.method) == (None, "distillation")
    assert trained.losses.best < trained.losses.first


def test_progress_is_told(tmp_path: Path) -> None:
    model, samples = _observed(_decoys(), tmp_path)
    heard: list[tuple[float, float]] = []
    tensor = spec_of(model, "t")
    assert tensor is not None
    how = Training(16, 0.5, on_progress=lambda share, loss: heard.append((share, loss)))
    trained = train(model, tensor, ["y"], samples, training=how)
    shares = [share for share, _ in heard]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert min(loss for _, loss in heard) >= trained.losses.best


@pytest.mark.parametrize("reduction", [4, 8, 16, 32, 64])
def test_untrained_and_trained_put_the_same_on_the_link(tmp_path: Path, reduction: int) -> None:
    model, samples = _observed(_network(), tmp_path, 40)
    tensor = spec_of(model, "t")
    assert tensor is not None
    priced, learned = untrained(tensor, reduction), _trained(model, samples, reduction=reduction, seconds=0)
    wires = [codec_for("bottleneck", tensor, None, each).wires for each in (priced, learned.bottleneck)]
    assert wires[0] == wires[1]
    assert wires[0][0].sample_nbytes == 16 * 8 * 8 // reduction


def test_untrained_is_none_where_no_form_suits() -> None:
    assert untrained(TensorSpec("t", "float32", (BATCH, 3, 64, 64)), 4) is None
    assert untrained(TensorSpec("t", "int64", (BATCH, 128)), 4) is None


def test_too_few_samples_are_refused(tmp_path: Path) -> None:
    model, samples = _observed(_decoys(), tmp_path, LEAST_SAMPLES - 1)
    with pytest.raises(InvalidArgumentError, match=f"at least {LEAST_SAMPLES} samples, got {LEAST_SAMPLES - 1}"):
        _trained(model, samples)


def test_a_tensor_without_a_form_is_refused(tmp_path: Path) -> None:
    model, samples = _observed(_decoys(), tmp_path, 40)
    with pytest.raises(InvalidArgumentError, match=r"'t'.* no bottleneck of reduction 64.* at least 64"):
        _trained(model, samples, reduction=64)


def test_a_tensor_that_cuts_nothing_is_refused(tmp_path: Path) -> None:
    net = Net()
    net.op("MatMul", "x", net.weight(HIDDEN, HIDDEN), out="t")
    net.op("Add", "t", "x", out="y")
    model, samples = _observed(net.proto({"x": ["N", HIDDEN]}, {"y": ["N", HIDDEN]}), tmp_path, 40)
    with pytest.raises(ModelError, match="do not bound"):
        _trained(model, samples)


def test_infinity_is_refused(tmp_path: Path) -> None:
    net = Net()
    net.op("Div", "x", net.const(np.zeros(HIDDEN), np.float32), out="t")
    net.op("Tanh", "t", out="y")
    model, samples = _observed(net.proto({"x": ["N", HIDDEN]}, {"y": ["N", HIDDEN]}), tmp_path, 40)
    with pytest.raises(ModelError, match="'t' holds NaN or infinity"):
        _trained(model, samples)


def test_without_torch_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, samples = _observed(_decoys(), tmp_path, 40)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(InvalidArgumentError, match=r"splitnet\[train\]"):
        _trained(model, samples)


def test_planning_loads_no_torch() -> None:
    code = "import sys, splitnet.partition.bottlenecks; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
