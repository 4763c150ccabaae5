"""Padding on any axes: with a constant, or with the tensor's own values mirrored, repeated or wrapped around."""

from collections.abc import Callable

import torch
from torch import Tensor

from splitnet.learn.operators.call import Call, Table
from splitnet.learn.operators.windows import padded

_Places = Callable[[Tensor, int], Tensor]


def _mirrored(places: Tensor, size: int) -> Tensor:
    """The first and last value are not repeated."""
    period = max(1, 2 * (size - 1))
    within = places.remainder(period)
    return torch.minimum(within, period - within)


#: Where in an axis of a given size a place before, in or behind it takes its value.
_TAKEN: dict[str, _Places] = {
    "edge": lambda places, size: places.clamp(0, size - 1),
    "reflect": _mirrored,
    "wrap": lambda places, size: places.remainder(size),
}


def _pad(call: Call) -> Tensor:
    x, mode = call.x, call.attribute("mode", "constant")
    amounts = call.integers(1) or []
    axes = call.integers(3) or list(range(x.ndim))
    pads = [(0, 0)] * x.ndim
    for axis, before, after in zip(axes, amounts[: len(axes)], amounts[len(axes) :], strict=True):
        pads[axis] = (before, after)
    if mode == "constant":
        value = call.given(2)
        return padded(x, pads, 0.0 if value is None else float(value))
    for axis, (before, after) in enumerate(pads):
        if before or after:
            places = torch.arange(-before, x.shape[axis] + after, device=x.device)
            x = x.index_select(axis, _TAKEN[mode](places, x.shape[axis]))
    return x


PADDING: Table = {"Pad": _pad}
