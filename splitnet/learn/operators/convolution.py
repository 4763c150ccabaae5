"""Convolution and its transpose: one to three spatial axes, grouped, strided, dilated, padded in any way."""

import torch
from torch import Tensor

from splitnet.learn.operators.call import Call, Table
from splitnet.learn.operators.windows import Pads, Window, padded, split_pads, window_of


def _convolve(call: Call) -> Tensor:
    weight = call.required(1)
    window = window_of(call, weight.shape[2:])
    pads = window.pads(call, call.x.shape[2:])
    symmetric = all(before == after for before, after in pads)
    x = call.x if symmetric else padded(call.x, pads)
    return torch.convolution(
        x,
        weight,
        call.given(2),
        window.strides,
        [before if symmetric else 0 for before, _ in pads],
        window.dilations,
        transposed=False,
        output_padding=[0] * len(pads),
        groups=call.attribute("group", 1),
    )


def _convolve_transposed(call: Call) -> Tensor:
    weight = call.required(1)
    window = window_of(call, weight.shape[2:])
    more = call.attribute("output_padding", (0,) * len(window.kernel))
    whole = torch.convolution(
        call.x,
        weight,
        call.given(2),
        window.strides,
        [0] * len(more),
        window.dilations,
        transposed=True,
        output_padding=list(more),
        groups=call.attribute("group", 1),
    )
    # Its padding takes away from the result; torch can only take as much from both sides.
    return padded(whole, [(-before, -after) for before, after in _removed(call, window, whole)])


def _removed(call: Call, window: Window, whole: Tensor) -> Pads:
    sizes = call.x.shape[2:]
    way = call.attribute("auto_pad", "NOTSET")
    wanted: list[int] | None = call.attribute("output_shape", None)
    if wanted is None and way in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [size * stride for size, stride in zip(sizes, window.strides, strict=True)]
    if wanted is None:
        return window.pads(call, sizes)
    totals = [size - want for size, want in zip(whole.shape[2:], wanted, strict=True)]
    return [split_pads(total, more_after=way != "SAME_LOWER") for total in totals]


CONVOLUTION: Table = {"Conv": _convolve, "ConvTranspose": _convolve_transposed}
