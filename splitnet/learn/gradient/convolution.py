"""Backward of convolution: one to three spatial axes, grouped, depthwise, strided, dilated, padded in any way.

The gradient of the input is the transposed convolution of the output's. The gradient of the weight is a
convolution too: of the input, with the output's gradient as the window, samples in the place of channels, and
strides and dilations exchanged (Dumoulin and Visin, "A guide to convolution arithmetic", 2016).
"""

import onnx_ir as ir

from splitnet.learn.gradient.call import Call, Gradients, Table
from splitnet.learn.gradient.windows import Window, window_of


def _convolution(call: Call) -> Gradients:
    weight = call.required(1)
    window = window_of(call, [call.size(weight, axis) for axis in range(2, call.rank(weight))])
    made: dict[int, ir.Value] = {}
    if 0 in call.wanted:
        group = call.attribute("group", 1)
        made[0] = call.op("ConvTranspose", call.dy, weight, group=group, **window.transposed)
    if 1 in call.wanted:
        pointwise = window.area == 1 and call.attribute("group", 1) == 1
        made[1] = _by_pointwise_weight(call, window) if pointwise else _by_weight(call, window)
    if 2 in call.wanted:
        axes = [axis for axis in range(call.rank(call.y)) if axis != 1]
        made[2] = call.op("ReduceSum", call.dy, axes, keepdims=0)
    return made


def _by_weight(call: Call, window: Window) -> ir.Value:
    """A convolution whose samples are channels of a group and whose channels are groups times samples."""
    group, spatial = call.attribute("group", 1), list(window.sizes)
    rank = len(spatial) + 2
    swap = [1, 0, *range(2, rank)]
    channels = call.size(call.x, 1) // group
    # [batch, group * channels, ...] -> [channels, group * batch, ...]
    x = call.op("Reshape", call.x, (0, group, channels, *spatial)) if group > 1 else call.x
    x = call.op("Transpose", x, perm=[2, 1, 0, *range(3, rank + 1)] if group > 1 else swap)
    x = call.op("Reshape", x, (channels, -1, *spatial)) if group > 1 else x
    whole = call.op(
        "Conv",
        x,
        call.op("Transpose", call.dy, perm=swap),
        group=group,
        strides=window.dilations,
        dilations=window.strides,
        pads=window.pads,
    )
    # Elements that no window reached make it longer than the kernel.
    cropped = call.op("Slice", whole, (0,) * len(spatial), window.kernel, range(2, rank))
    return call.op("Transpose", cropped, perm=swap)


def _by_pointwise_weight(call: Call, window: Window) -> ir.Value:
    """A window of one element is a matrix: its gradient is one product, which a convolution does slowly."""
    x, axes = call.x, range(2, call.rank(call.x))
    if any(window.pads):
        edges = (0, 0, *window.before, 0, 0, *window.after)
        x = call.op("Pad", x, edges)
    if any(stride > 1 for stride in window.strides):
        ends = [(places - 1) * stride + 1 for places, stride in zip(window.places, window.strides, strict=True)]
        x = call.op("Slice", x, (0,) * len(axes), ends, axes, window.strides)
    rows = call.op("Reshape", _channels_first(call, x), (call.size(call.x, 1), -1))
    dy = call.op("Reshape", _channels_first(call, call.dy), (call.size(call.y, 1), -1))
    return call.op("Reshape", call.op("Gemm", dy, rows, transB=1), call.shape_of(call.required(1)))


def _channels_first(call: Call, value: ir.Value) -> ir.Value:
    return call.op("Transpose", value, perm=[1, 0, *range(2, call.rank(call.x))])


CONVOLUTION: Table = {"Conv": _convolution}
