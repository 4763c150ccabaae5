"""The form of a bottleneck: which layers take a tensor of a given shape to how narrow a code, and back."""

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from splitnet.codec import Bottleneck, Layer
from splitnet.tensors import TensorSpec

# Fewer features leave nothing to gain over one byte a value.
_LEAST_FEATURES = 8
# Features of the decoder's hidden layer for each value of the code at a place: two of them carry it unchanged, and
# up to as many features as the tensor has, more of them help.
_LEAST_HIDDEN, _MOST_HIDDEN = 2, 4


@dataclass(frozen=True, slots=True)
class Form:
    """The sizes of a bottleneck's layers.

    The encoder is one linear layer, since it runs on the weaker tier; the decoder has a hidden layer.

    Attributes:
        features: channels of an image `[channels, height, width]`, or the last axis of another tensor.
        width: values of the code at each place.
        image: height and width, or None.
        stride: of an image: places of the tensor for one of the code, each way; 1 or 2.
    """

    features: int
    width: int
    image: tuple[int, int] | None = None
    stride: int = 1

    @property
    def hidden(self) -> int:
        """Features of the decoder's hidden layer."""
        return max(_LEAST_HIDDEN * self.width, min(_MOST_HIDDEN * self.width, self.features))

    @property
    def patch(self) -> int:
        """Values of the tensor that share one place of the code."""
        return self.features * self.stride**2

    def seeded(self, seed: int) -> Bottleneck:
        """Return a bottleneck of this form with random weights, for its costs: it has learned nothing."""
        generator = np.random.default_rng(seed)
        basis = generator.standard_normal((self.patch, self.width)) / np.sqrt(self.patch)
        return self.bottleneck(basis, basis, np.zeros(self.features), seed=seed)

    def bottleneck(
        self,
        encode: NDArray[np.floating],
        decode: NDArray[np.floating],
        mean: NDArray[np.floating],
        *,
        seed: int,
    ) -> Bottleneck:
        """Return the bottleneck with code (patch - mean) @ encode, and patch code @ decode.T + mean.

        The hidden layer's first features are the code and its negative, so that its ReLU loses nothing at
        first; the others get random weights that nothing reads yet.

        Args:
            encode: `[patch, width]`; a patch is `[stride, stride, features]`, flattened.
            decode: `[patch, width]`.
            mean: `[features]`.
            seed: of the random weights.
        """
        there, back = (
            _float32(each.reshape(self.stride, self.stride, self.features, self.width))
            for each in (encode, decode)
        )
        return Bottleneck(
            (self._layer(there, -self._projected(there, mean), transposed=False),),
            (self._spread(seed), self._layer(self._gathered(back), _float32(mean), transposed=True)),
            code_low=-1.0,
            code_high=1.0,
        )

    def _projected(self, there: NDArray[np.float32], mean: NDArray[np.floating]) -> NDArray[np.float32]:
        return _float32(np.einsum("yxfw,f->w", there, mean))

    def _gathered(self, back: NDArray[np.float32]) -> NDArray[np.float32]:
        """The way back from the hidden layer: `[stride, stride, features, hidden]`."""
        unread = np.zeros((*back.shape[:3], self.hidden - 2 * self.width), np.float32)
        return np.concatenate([back, -back, unread], axis=3)

    def _spread(self, seed: int) -> Layer:
        """The hidden layer; in an image it sees the neighbouring places too."""
        size = 3 if self.image else 1
        generator = np.random.default_rng([seed, 1])
        deviation = np.sqrt(2 / (self.width * size**2))
        weight = _float32(generator.normal(0, deviation, (self.hidden, self.width, size, size)))
        weight[: 2 * self.width] = 0
        weight[: self.width, :, size // 2, size // 2] = np.eye(self.width)
        weight[self.width : 2 * self.width, :, size // 2, size // 2] = -np.eye(self.width)
        bias = np.zeros(self.hidden, np.float32)
        if self.image:
            return Layer("conv", weight, bias, padding=1, relu=True)
        return Layer("linear", np.ascontiguousarray(weight[:, :, 0, 0].T), bias, relu=True)

    def _layer(self, weight: NDArray[np.float32], bias: NDArray[np.float32], *, transposed: bool) -> Layer:
        """Return the layer between patches and code; `weight` is `[stride, stride, features, code]`."""
        if self.image is None:
            matrix = weight[0, 0].T if transposed else weight[0, 0]
            return Layer("linear", np.ascontiguousarray(matrix), bias)
        if self.stride == 1:
            order = (2, 3, 0, 1) if transposed else (3, 2, 0, 1)
            return Layer("conv", np.ascontiguousarray(weight.transpose(order)), bias)
        # Three places wide, one of overlap: the patch is its last two, and training finds a use for the first.
        kernel = np.zeros((3, 3, *weight.shape[2:]), np.float32)
        kernel[1:, 1:] = weight
        kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        if not transposed:
            return Layer("conv", kernel, bias, stride=2, padding=1)
        # From ceil(size / 2) places back to an even size takes one more row or column at the end.
        height, width = self.image
        missing = (1 - height % 2, 1 - width % 2)
        return Layer("conv-transpose", kernel, bias, stride=2, padding=1, output_padding=missing)


def form_of(spec: TensorSpec, reduction: int) -> Form | None:
    """Return the form that makes of a sample 1 / `reduction` as many values, or None where there is none.

    There is one for float32 `[batch, channels, height, width]`, `[batch, sequence, hidden]` and
    `[batch, features]`, with at least 8 channels or features, that leaves at least one value a place.

    Args:
        spec: the tensor.
        reduction: 2 or more; at most so much smaller than float32 are the bytes, divided by 4.
    """
    if spec.dtype != "float32" or spec.batch_axis != 0:
        return None
    shape = tuple(size for size in spec.shape[1:] if isinstance(size, int))
    form = _image_form(shape, reduction) if len(shape) == 3 else _row_form(shape, reduction)
    return form if form is not None and form.features >= _LEAST_FEATURES and form.width >= 1 else None


def _image_form(shape: tuple[int, ...], reduction: int) -> Form | None:
    channels, height, width = shape
    # Four places that share a code lose less than four that have a quarter of the channels each.
    stride = 2 if min(height, width) > 1 else 1
    places = -(-height // stride) * -(-width // stride)
    return Form(channels, prod(shape) // max(1, reduction * places), (height, width), stride)


def _row_form(shape: tuple[int, ...], reduction: int) -> Form | None:
    return Form(shape[-1], shape[-1] // reduction) if len(shape) in (1, 2) else None


def _float32(array: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.ascontiguousarray(array, np.float32)
