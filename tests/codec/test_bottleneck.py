"""bottleneck: the learned layers, as numpy computes them, with a code of 8 bits between them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from splitnet.codec import Bottleneck, Layer, TensorCodec, is_applicable
from splitnet.codec.affine import quantisation
from splitnet.errors import InvalidArgumentError
from splitnet.tensors import BATCH, Array, TensorSpec
from tests.codec.carrying import Carrier, layer_weights, linear_bottleneck, tensor

IMAGE = tensor(6, 9, 12)


def conv_bottleneck() -> Bottleneck:
    """6 channels -> 3x3 strided -> 1x1 -> 2 channels of the half size, and back."""
    return Bottleneck(
        (
            Layer("conv", layer_weights(0, 8, 6, 3, 3), layer_weights(1, 8), stride=2, padding=1, relu=True),
            Layer("conv", layer_weights(2, 2, 8, 1, 1), layer_weights(3, 2)),
        ),
        (
            Layer(
                "conv-transpose",
                layer_weights(4, 2, 8, 3, 3),
                layer_weights(5, 8),
                stride=2,
                padding=1,
                output_padding=(0, 1),
                relu=True,
            ),
            Layer("conv", layer_weights(6, 6, 8, 3, 3), layer_weights(7, 6), padding=1),
        ),
        -20.0,
        20.0,
    )


def by_torch(layers: tuple[Layer, ...], values: torch.Tensor) -> torch.Tensor:
    for layer in layers:
        weight, bias = torch.from_numpy(layer.weight), torch.from_numpy(layer.bias)
        if layer.operator == "linear":
            values = values @ weight + bias
        elif layer.operator == "conv":
            values = torch.conv2d(values, weight, bias, layer.stride, layer.padding)
        else:
            values = torch.conv_transpose2d(
                values, weight, bias, layer.stride, layer.padding, list(layer.output_padding)
            )
        values = torch.relu(values) if layer.relu else values
    return values


def expected(bottleneck: Bottleneck, values: Array) -> tuple[Array, Array]:
    """The code as sent and the tensor as it arrives."""
    quantised = quantisation(bottleneck.code_low, bottleneck.code_high)
    code = by_torch(bottleneck.encoder, torch.from_numpy(values)).numpy()
    sent = np.clip(np.rint(code / quantised.scale) + quantised.zero_point, 0, 255)
    meant = ((sent - quantised.zero_point) * quantised.scale).astype(np.float32)
    return sent, by_torch(bottleneck.decoder, torch.from_numpy(meant)).numpy()


CASES = [
    (IMAGE, conv_bottleneck(), (2, 5, 6)),
    (tensor(5, 16), linear_bottleneck(16, 3), (5, 3)),
    (tensor(16), linear_bottleneck(16, 3), (3,)),
    (TensorSpec("t", "float32", (3, 6, 9, 12)), conv_bottleneck(), (2, 5, 6)),
]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("spec", "bottleneck", "code"), CASES, ids=["conv", "tokens", "features", "fixed batch"])
def test_layers_compute_what_torch_computes(
    spec: TensorSpec, bottleneck: Bottleneck, code: tuple[int, ...], batch: int
) -> None:
    shape = [batch if size == BATCH else int(size) for size in spec.shape]
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    codec = TensorCodec("bottleneck", spec, None, bottleneck)
    assert codec.wires == (TensorSpec("t.bottleneck", "uint8", (spec.shape[0], *code)),)
    carrier = Carrier(codec)
    sent, back = expected(bottleneck, values)
    # Sums in another order may fall on the other side of a step.
    assert np.abs(carrier.encode(values)["t.bottleneck"] - sent).max() <= 1
    assert np.abs(carrier(values) - back).mean() <= 1e-3 * np.abs(back).mean()


def test_a_code_beyond_its_range_saturates() -> None:
    same = Layer("linear", np.ones((1, 1), np.float32), np.zeros(1, np.float32))
    codec = TensorCodec("bottleneck", tensor(1), None, Bottleneck((same,), (same,), -1.0, 4.0))
    sent = Carrier(codec).encode(np.array([[-5], [0], [5]], np.float32))
    assert sent["t.bottleneck"].tolist() == [[0], [51], [255]]


@pytest.mark.parametrize(
    "spec", [tensor(6, 9, 11), tensor(7, 9, 12), tensor(9, 12), tensor(6), TensorSpec("t", "float32", ())]
)
def test_a_tensor_of_another_shape_is_refused(spec: TensorSpec) -> None:
    assert not is_applicable("bottleneck", spec, None, conv_bottleneck())
    with pytest.raises(
        InvalidArgumentError, match="tensor 't': codec bottleneck has a bottleneck that does not fit"
    ):
        TensorCodec("bottleneck", spec, None, conv_bottleneck())


def test_an_image_smaller_than_the_kernel_is_refused() -> None:
    wide = Layer("conv", layer_weights(0, 2, 6, 5, 5), layer_weights(1, 2))
    assert wide.shape_after((6, 4, 9)) is None
    assert wide.shape_after((6, 5, 9)) == (2, 1, 5)


LINEAR = Layer("linear", layer_weights(0, 4, 2), layer_weights(1, 2))
CONV = Layer("conv", layer_weights(0, 2, 4, 3, 3), layer_weights(1, 2))


@pytest.mark.parametrize(
    ("layer", "changes", "message"),
    [
        (LINEAR, {"weight": layer_weights(0, 4, 2, 1)}, "weight of a linear layer has shape"),
        (CONV, {"weight": layer_weights(0, 2, 4, 3, 1)}, "a square kernel"),
        (LINEAR, {"bias": layer_weights(0, 4)}, r"bias of a linear layer has shape \(4,\); expected \(2,\)"),
        (CONV, {"bias": layer_weights(0, 4)}, r"expected \(2,\)"),
        (CONV, {"operator": "conv-transpose"}, r"expected \(4,\)"),
        (LINEAR, {"bias": np.zeros(2)}, "must be finite float32, got float64"),
        (CONV, {"bias": np.array([0, np.nan], np.float32)}, "must be finite float32"),
        (CONV, {"stride": 0}, "stride 0"),
        (CONV, {"padding": -1}, "padding -1"),
    ],
)
def test_a_layer_that_does_not_add_up_is_refused(layer: Layer, changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        replace(layer, **changes)  # type: ignore[arg-type]  # what is wrong is the point


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": ()}, "need at least one layer"),
        ({"decoder": ()}, "need at least one layer"),
        ({"code_low": 9.0}, "code's range is 9.0 to 8.0"),
        ({"code_high": np.inf}, "expected finite numbers"),
        ({"code_low": np.nan}, "expected finite numbers"),
    ],
)
def test_a_bottleneck_that_does_not_add_up_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        replace(linear_bottleneck(4, 2), **changes)  # type: ignore[arg-type]  # what is wrong is the point
