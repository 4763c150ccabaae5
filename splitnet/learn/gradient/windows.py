"""Windows that slide over spatial axes of known size: padding, and the transposed convolution that undoes them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from splitnet.learn.gradient.call import Call


@dataclass(frozen=True, slots=True)
class Window:
    """A window on its way over tensors of fixed size; one entry for each spatial axis.

    Attributes:
        kernel: its size.
        strides: how far it moves.
        dilations: distance between its elements.
        before: padding at the beginning.
        sizes: of what it slides over.
        places: where it stops.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    sizes: tuple[int, ...]
    places: tuple[int, ...]

    @property
    def over(self) -> tuple[int, ...]:
        """How far the last window reaches beyond the end; negative where it leaves elements out."""
        axes = zip(self.kernel, self.strides, self.dilations, self.before, self.sizes, self.places, strict=True)
        return tuple(
            (places - 1) * stride + (kernel - 1) * dilation + 1 - before - size
            for kernel, stride, dilation, before, size, places in axes
        )

    @property
    def after(self) -> tuple[int, ...]:
        """Padding at the end that windows reach into."""
        return tuple(max(0, over) for over in self.over)

    @property
    def pads(self) -> list[int]:
        """The padding that windows reach, all beginnings before all ends."""
        return [*self.before, *self.after]

    @property
    def transposed(self) -> dict[str, Any]:
        """Attributes of the ConvTranspose from places back to what the window slides over."""
        return {
            "strides": self.strides,
            "dilations": self.dilations,
            "pads": self.pads,
            "output_padding": [max(0, -over) for over in self.over],
        }

    @property
    def area(self) -> int:
        """Elements of the window."""
        return math.prod(self.kernel)


def window_of(call: Call, kernel: Sequence[int]) -> Window:
    """Return the window of a convolution or pooling of the first input.

    Raises:
        ModelError: a spatial axis has no fixed size.
    """
    ones = (1,) * len(kernel)
    strides = tuple(call.attribute("strides", ones))
    dilations = tuple(call.attribute("dilations", ones))
    sizes, places = call.sizes(call.x), call.sizes(call.y)
    before = _before(call, kernel, strides, dilations)
    return Window(tuple(kernel), strides, dilations, before, tuple(sizes), tuple(places))


def _before(
    call: Call, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[int, ...]:
    way = call.attribute("auto_pad", "NOTSET")
    if way in ("NOTSET", ""):
        return tuple(call.attribute("pads", (0,) * (2 * len(kernel)))[: len(kernel)])
    if way == "VALID":
        return (0,) * len(kernel)
    before = []
    for axis, size in enumerate(call.sizes(call.x)):
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        total = max(0, (-(-size // strides[axis]) - 1) * strides[axis] + reach - size)
        before.append(total // 2 if way == "SAME_UPPER" else total - total // 2)
    return tuple(before)
