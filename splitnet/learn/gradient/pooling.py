"""Backward of pooling over windows of one to three spatial axes, and over all of them."""

import numpy as np
import onnx_ir as ir

from splitnet.learn.gradient.call import Call, Table, first
from splitnet.learn.gradient.reduction import among_equals
from splitnet.learn.gradient.windows import Window, window_of
from splitnet.tensors import Array


def _average(call: Call) -> ir.Value:
    """Each place gives its share back to what it covered: a transposed depthwise convolution with ones."""
    window = window_of(call, call.attribute("kernel_shape", ()))
    same = call.attribute("auto_pad", "NOTSET").startswith("SAME")
    # onnxruntime's poolings skip elements before the first window then, where its convolutions do not.
    call.require(not same or min(window.over) >= -1, "its windows lie too far apart for auto_pad")
    channels = call.size(call.x, 1)
    dtype = (call.y.dtype or ir.DataType.FLOAT).numpy()
    counted = call.nodes.constant(_counted(call, window).astype(dtype))
    ones = call.nodes.constant(np.ones((channels, 1, *window.kernel), dtype))
    return call.op("ConvTranspose", call.op("Div", call.dy, counted), ones, group=channels, **window.transposed)


def _counted(call: Call, window: Window) -> Array:
    """How many elements each place averages, `[places...]`: padding counts where the node says so."""
    padded = bool(call.attribute("count_include_pad", 0))
    written = call.attribute("auto_pad", "NOTSET") == "NOTSET"
    pads = call.attribute("pads", (0,) * (2 * len(window.kernel))) if written else window.pads
    counts = np.ones((), np.int64)
    for axis, size in enumerate(window.sizes):
        # What rounding up adds at the end never counts.
        low, high = (-window.before[axis], size + pads[len(window.kernel) + axis]) if padded else (0, size)
        starts = np.arange(window.places[axis]) * window.strides[axis] - window.before[axis]
        reached = starts[:, None] + np.arange(window.kernel[axis]) * window.dilations[axis]
        counts = np.multiply.outer(counts, ((reached >= low) & (reached < high)).sum(axis=1))
    return counts


def _maximum(call: Call) -> ir.Value:
    """Each place gives all to the element that it took, which the operator can tell."""
    window = window_of(call, call.attribute("kernel_shape", ()))
    apart = all(stride >= size for size, stride in zip(window.kernel, window.strides, strict=True))
    call.require(call.attribute("storage_order", 0) == 0, "its indices are column-major")
    call.require(
        call.opset >= 16 or (apart and set(window.dilations) == {1}), "windows that overlap need opset 16"
    )
    if len(call.node.outputs) == 1:
        call.node.resize_outputs(2)
    taken = call.node.outputs[1]
    taken.name = taken.name or f"{call.y.name}.indices"
    taken.type, taken.shape = ir.TensorType(ir.DataType.INT64), call.y.shape
    zeros = call.op("Expand", 0.0, call.op("Reshape", call.op("Size", call.x), (1,)))
    places = [call.op("Reshape", value, (-1,)) for value in (taken, call.dy)]
    more = {} if apart else {"reduction": "add"}
    return call.op("Reshape", call.op("ScatterElements", zeros, *places, axis=0, **more), call.shape_of(call.x))


def _global_average(call: Call) -> ir.Value:
    count = float(np.prod(call.sizes(call.x)))
    return call.op("Expand", call.op("Div", call.dy, count), call.shape_of(call.x))


def _global_maximum(call: Call) -> ir.Value:
    return among_equals(call, call.y, call.dy, list(range(2, call.rank(call.x))))


POOLING: Table = {
    "AveragePool": first(_average),
    "GlobalAveragePool": first(_global_average),
    "GlobalMaxPool": first(_global_maximum),
    "MaxPool": first(_maximum),
}
