"""Pooling over windows of one to three spatial axes, and over all of them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from splitnet.learn.operators.call import Call, Table
from splitnet.learn.operators.windows import Window, padded, window_of

_MAX: dict[int, Callable[..., Any]] = {
    1: functional.max_pool1d,
    2: functional.max_pool2d,
    3: functional.max_pool3d,
}
_AVERAGE: dict[int, Callable[..., Any]] = {
    1: functional.avg_pool1d,
    2: functional.avg_pool2d,
    3: functional.avg_pool3d,
}


def _max_pool(call: Call) -> Tensor:
    call.require(call.outputs == 1, "the indices of the maxima are asked for")
    window, pads, rounding = _pooling(call)
    both = [(before, after + more) for (before, after), more in zip(pads, rounding, strict=True)]
    x = padded(call.x, both, -torch.inf)
    pooled: Tensor = _MAX[len(pads)](x, window.kernel, window.strides, 0, window.dilations)
    return pooled


def _average_pool(call: Call) -> Tensor:
    """Divide averages over zeros and ones alike, so that only what counts is counted."""
    window, pads, rounding = _pooling(call)
    call.require(set(window.dilations) == {1}, "the window is dilated")
    pool = _AVERAGE[len(pads)]
    beyond = [(0, more) for more in rounding]
    total: Tensor = pool(padded(padded(call.x, pads), beyond), window.kernel, window.strides)
    counted = padded(torch.ones_like(call.x[:1, :1]), pads, float(call.attribute("count_include_pad", 0)))
    share: Tensor = pool(padded(counted, beyond), window.kernel, window.strides)
    return total / share


def _pooling(call: Call) -> tuple[Window, list[tuple[int, int]], list[int]]:
    """Return the window, its padding, and what `ceil_mode` adds at the end of each axis."""
    window = window_of(call, call.attribute("kernel_shape", ()))
    call.require(len(window.kernel) in _MAX, f"{len(window.kernel)} spatial axes, at most 3 are known")
    sizes = call.x.shape[2:]
    pads = window.pads(call, sizes)
    if not call.attribute("ceil_mode", 0):
        return window, pads, [0] * len(pads)
    return window, pads, [_rounding(window, axis, size, pads[axis]) for axis, size in enumerate(sizes)]


def _rounding(window: Window, axis: int, size: int, pad: tuple[int, int]) -> int:
    stride = window.strides[axis]
    covered = size + sum(pad) - window.reach[axis]
    places = -(-covered // stride)
    # A window that would begin in the padding at the end is left out.
    if places * stride >= size + pad[0]:
        places -= 1
    return max(0, places * stride - covered)


def _global(function: Callable[[Tensor, list[int]], Tensor]) -> Callable[[Call], Tensor]:
    def pool(call: Call) -> Tensor:
        return function(call.x, list(range(2, call.x.ndim)))

    return pool


POOLING: Table = {
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global(lambda x, axes: x.mean(axes, keepdim=True)),
    "GlobalMaxPool": _global(lambda x, axes: x.amax(axes, keepdim=True)),
    "MaxPool": _max_pool,
}
