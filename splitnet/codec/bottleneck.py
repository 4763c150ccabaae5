"""The parameters of a learned bottleneck: a few layers to a narrow code, and a few back."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import InvalidArgumentError

#: What a layer computes: `linear` on the last axis, the others on `[batch, channels, height, width]`.
Operator: TypeAlias = Literal["linear", "conv", "conv-transpose"]

_WEIGHT_AXES: dict[Operator, int] = {"linear": 2, "conv": 4, "conv-transpose": 4}


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One layer of a bottleneck, with the meaning that torch gives to these numbers. Compared by identity.

    Attributes:
        operator: what it computes.
        weight: float32; `linear` `[in, out]` (`x @ weight`), `conv` `[out, in, kernel, kernel]`, `conv-transpose`
            `[in, out, kernel, kernel]`.
        bias: float32 `[out]`.
        stride: of a convolution, both ways.
        padding: of a convolution, on all four sides.
        output_padding: of a transposed convolution, at the bottom and at the right.
        relu: whether negative results become 0.
    """

    operator: Operator
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    stride: int = 1
    padding: int = 0
    output_padding: tuple[int, int] = (0, 0)
    relu: bool = False

    def __post_init__(self) -> None:
        axes = _WEIGHT_AXES[self.operator]
        # The kernel's height and width; nothing of a linear layer.
        if self.weight.ndim != axes or len(set(self.weight.shape[2:])) > 1:
            raise InvalidArgumentError(
                f"bottleneck: the weight of a {self.operator} layer has shape {self.weight.shape}; "
                f"expected {axes} axes, and for a convolution a square kernel"
            )
        if self.bias.shape != (self.width,):
            raise InvalidArgumentError(
                f"bottleneck: the bias of a {self.operator} layer has shape {self.bias.shape}; "
                f"expected {(self.width,)}, one number for each of its results"
            )
        for name, array in (("weight", self.weight), ("bias", self.bias)):
            if array.dtype != np.float32 or not np.isfinite(array).all():
                raise InvalidArgumentError(
                    f"bottleneck: the {name} of a {self.operator} layer must be finite float32, got {array.dtype}"
                )
        if self.stride < 1 or self.padding < 0 or min(self.output_padding) < 0:
            raise InvalidArgumentError(
                f"bottleneck: a {self.operator} layer has stride {self.stride}, padding {self.padding} and output "
                f"padding {self.output_padding}; expected a stride of 1 or more and no negative padding"
            )

    @property
    def takes(self) -> int:
        """Features or channels that it takes."""
        return int(self.weight.shape[1 if self.operator == "conv" else 0])

    @property
    def width(self) -> int:
        """Features or channels that it makes."""
        return int(self.weight.shape[0 if self.operator == "conv" else 1])

    def shape_after(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the shape of one sample after this layer, or None where the layer does not fit it.

        Args:
            shape: of a sample, without its batch axis: `[..., features]`, or `[channels, height, width]`.
        """
        if self.operator == "linear":
            return (*shape[:-1], self.width) if shape and shape[-1] == self.takes else None
        if len(shape) != 3 or shape[0] != self.takes:
            return None
        kernel = int(self.weight.shape[2])
        if self.operator == "conv":
            sizes = [(size + 2 * self.padding - kernel) // self.stride + 1 for size in shape[1:]]
        else:
            sizes = [
                (size - 1) * self.stride - 2 * self.padding + kernel + more
                for size, more in zip(shape[1:], self.output_padding, strict=True)
            ]
        return (self.width, *sizes) if min(sizes) > 0 else None


@dataclass(frozen=True, slots=True, eq=False)
class Bottleneck:
    """A learned code for one boundary tensor. Compared by identity.

    Attributes:
        encoder: from the tensor to the code; at least one layer.
        decoder: from the code to the tensor; at least one layer.
        code_low: the smallest value of the code on calibration data.
        code_high: the largest; the code crosses the link as uint8 over this range, and saturates beyond it.
    """

    encoder: tuple[Layer, ...]
    decoder: tuple[Layer, ...]
    code_low: float
    code_high: float

    def __post_init__(self) -> None:
        if not self.encoder or not self.decoder:
            raise InvalidArgumentError("bottleneck: encoder and decoder need at least one layer each")
        if not -np.inf < self.code_low <= self.code_high < np.inf:
            raise InvalidArgumentError(
                f"bottleneck: the code's range is {self.code_low} to {self.code_high}; "
                "expected finite numbers, the smaller one first"
            )

    def code_shape(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the shape of one sample's code, or None where the encoder does not fit a sample of `shape`."""
        return _shape_after(self.encoder, shape)

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether encoder and decoder take a sample of `shape` to a code and back to that shape."""
        code = self.code_shape(shape)
        return code is not None and _shape_after(self.decoder, code) == shape


def _shape_after(layers: tuple[Layer, ...], shape: tuple[int, ...]) -> tuple[int, ...] | None:
    after: tuple[int, ...] | None = shape
    for layer in layers:
        after = layer.shape_after(after) if after is not None else None
    return after
