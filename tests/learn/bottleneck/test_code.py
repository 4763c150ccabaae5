"""The trainable code computes what the codec's nodes compute, and begins where principal components do."""

import numpy as np
import pytest
import torch

from splitnet.codec import Bottleneck, TensorCodec, codec_model
from splitnet.graph import model_bytes
from splitnet.learn.bottleneck.code import TrainableCode
from splitnet.learn.bottleneck.form import form_of
from splitnet.learn.bottleneck.principal import principal_bottleneck
from splitnet.onnx_session import OnnxSession
from splitnet.tensors import BATCH, Array, TensorSpec

SHAPES = [((16, 8, 8), 4), ((16, 8, 6), 16), ((12, 7, 5), 8), ((9, 1, 4), 8), ((5, 24), 4), ((40,), 8)]


def _spec(shape: tuple[int, ...]) -> TensorSpec:
    return TensorSpec("t", "float32", (BATCH, *shape))


def _began(shape: tuple[int, ...], reduction: int, values: Array) -> TrainableCode:
    form = form_of(_spec(shape), reduction)
    assert form is not None
    code = TrainableCode(principal_bottleneck(form, values, seed=0)).eval()
    code.set_range(torch.from_numpy(values))
    return code


def _through_nodes(shape: tuple[int, ...], bottleneck: Bottleneck, values: Array) -> Array:
    codec = TensorCodec("bottleneck", _spec(shape), bottleneck=bottleneck)
    for direction in ("encode", "decode"):
        session = OnnxSession(model_bytes(codec_model(codec, direction)), name=direction)
        (values,) = session.run({session.inputs[0]: values}).values()
    return values


def _normal(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("shape", "reduction"), SHAPES, ids=str)
def test_equals_the_nodes(shape: tuple[int, ...], reduction: int) -> None:
    """Beyond its range too; a value on the edge of two steps may fall to either side."""
    values = _normal(8, *shape)
    code = _began(shape, reduction, values)
    with torch.no_grad():
        made = code(torch.from_numpy(2 * values)).numpy()
    wanted = _through_nodes(shape, code.bottleneck(), 2 * values)
    step = float(code.high - code.low) / 255
    assert made.shape == values.shape
    assert np.mean(np.abs(made - wanted) > 1e-4) < 0.01
    assert np.abs(made - wanted).max() < 4 * step


def test_the_code_is_uint8() -> None:
    codec = TensorCodec(
        "bottleneck", _spec((16, 8, 8)), bottleneck=_began((16, 8, 8), 16, _normal(8, 16, 8, 8)).bottleneck()
    )
    assert [(wire.dtype, wire.sample_nbytes) for wire in codec.wires] == [("uint8", 64)]


def _low_rank(shape: tuple[int, ...]) -> Array:
    """Samples of 2 features mixed into as many as `shape` has; in an image the same over 2 x 2 places."""
    image = len(shape) == 3
    mixing = _normal(2, shape[0] if image else shape[-1])
    if not image:
        return _normal(64, *shape[:-1], 2) @ mixing + np.float32(1)
    coarse = _normal(64, 2, shape[1] // 2, shape[2] // 2)
    fine = coarse.repeat(2, axis=2).repeat(2, axis=3)
    return np.moveaxis(np.moveaxis(fine, 1, -1) @ mixing, -1, 1) + np.float32(1)


@pytest.mark.parametrize(("shape", "reduction"), [((16, 8, 6), 16), ((16, 8, 6), 8), ((5, 24), 12), ((24,), 12)])
def test_principal_components_carry_what_has_so_few(shape: tuple[int, ...], reduction: int) -> None:
    """Nothing but the rounding is lost: the hidden layer's ReLU, the overlap and the mean cost nothing."""
    values = _low_rank(shape)
    back = _through_nodes(shape, _began(shape, reduction, values).bottleneck(), values)
    assert np.mean((back - values) ** 2) < 1e-3 * values.var()


def test_fewer_samples_than_components() -> None:
    code = _began((64,), 4, _normal(3, 64))
    assert all(torch.isfinite(each).all() and each.abs().sum() > 0 for each in code.encoder.parameters())


def test_gradients_pass_the_rounding_within_the_range_only() -> None:
    values = _normal(4, 16)
    code = _began((16,), 4, values)
    code.low, code.high = torch.tensor(-0.5), torch.tensor(0.5)
    x = torch.from_numpy(values).requires_grad_()
    inside = code.encoder(x).detach().abs() < 0.49
    assert 0 < int(inside.sum()) < inside.numel()
    raw = code.encoder(x).detach().requires_grad_()
    code._quantised(raw).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it without annotations
    assert raw.grad is not None
    assert torch.all(raw.grad[inside] == 1)
    assert torch.all(raw.grad[raw.detach().abs() > 0.51] == 0)


def test_the_range_follows_in_training_only() -> None:
    values = torch.from_numpy(_normal(8, 16))
    code = _began((16,), 4, values.numpy())
    before = float(code.high)
    code.eval()(3 * values)
    assert float(code.high) == before
    code.train()(3 * values)
    assert before < float(code.high) < 3 * before
