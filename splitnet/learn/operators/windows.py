"""Windows that slide over spatial axes, as convolutions and pooling have them: strides, dilations, padding."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from splitnet.learn.operators.call import Call

#: What is added before and after each spatial axis.
Pads = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Window:
    """A window; one entry for each spatial axis.

    Attributes:
        kernel: its size.
        strides: how far it moves.
        dilations: distance between its elements.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]

    @property
    def reach(self) -> list[int]:
        """Places from the first to the last element, both included."""
        return [(size - 1) * apart + 1 for size, apart in zip(self.kernel, self.dilations, strict=True)]

    def pads(self, call: Call, sizes: Sequence[int]) -> list[tuple[int, int]]:
        """Return the padding of spatial axes of `sizes`, which `pads` or `auto_pad` says."""
        way = call.attribute("auto_pad", "NOTSET")
        if way == "VALID":
            return [(0, 0)] * len(sizes)
        if way in ("SAME_UPPER", "SAME_LOWER"):
            return [self._same(axis, size, way) for axis, size in enumerate(sizes)]
        return explicit_pads(call, len(sizes))

    def _same(self, axis: int, size: int, way: str) -> tuple[int, int]:
        places = -(-size // self.strides[axis])
        total = max(0, (places - 1) * self.strides[axis] + self.reach[axis] - size)
        return split_pads(total, more_after=way == "SAME_UPPER")


def window_of(call: Call, kernel: Sequence[int]) -> Window:
    """Return the window of a call with a kernel of that size."""
    ones = (1,) * len(kernel)
    strides, dilations = call.attribute("strides", ones), call.attribute("dilations", ones)
    return Window(tuple(kernel), tuple(strides), tuple(dilations))


def explicit_pads(call: Call, axes: int) -> list[tuple[int, int]]:
    """Return the attribute `pads`, which lists all beginnings before all ends."""
    pads = call.attribute("pads", (0,) * (2 * axes))
    return list(zip(pads[:axes], pads[axes:], strict=True))


def split_pads(total: int, *, more_after: bool) -> tuple[int, int]:
    """Divide padding between beginning and end."""
    less = total // 2
    return (less, total - less) if more_after else (total - less, less)


def padded(x: Tensor, pads: Pads, value: float = 0.0) -> Tensor:
    """Pad the last axes of `x`."""
    if not any(map(any, pads)):
        return x
    # torch lists the last axis first.
    return functional.pad(x, [size for pair in reversed(pads) for size in pair], value=value)
