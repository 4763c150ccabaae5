"""Backward of normalisation to its input: scale, bias and recorded statistics are frozen."""

from collections.abc import Sequence

import onnx_ir as ir

from splitnet.learn.gradient.call import Call, Table, first


def _batch(call: Call) -> ir.Value:
    """With frozen statistics it is one factor a channel."""
    call.require(not call.attribute("training_mode", 0), "it is in training mode")
    deviation = call.op("Sqrt", call.op("Add", call.required(4), call.attribute("epsilon", 1e-5)))
    return call.op("Mul", call.dy, _by_channel(call, call.op("Div", call.required(1), deviation)))


def _layer(call: Call) -> ir.Value:
    rank = call.rank(call.x)
    axes = range(call.attribute("axis", -1) % rank, rank)
    return _standardised(call, call.x, call.op("Mul", call.dy, call.required(1)), axes)


def _instance(call: Call) -> ir.Value:
    scaled = call.op("Mul", call.dy, _by_channel(call, call.required(1)))
    return _standardised(call, call.x, scaled, range(2, call.rank(call.x)))


def _group(call: Call) -> ir.Value:
    call.require(call.opset >= 21, "its scale is one a group before opset 21")
    grouped = (0, call.attribute("num_groups", 1), -1)
    scaled = call.op("Mul", call.dy, _by_channel(call, call.required(1)))
    x, scaled = (call.op("Reshape", value, grouped) for value in (call.x, scaled))
    return call.op("Reshape", _standardised(call, x, scaled, [2]), call.shape_of(call.x))


def _standardised(call: Call, x: ir.Value, gradient: ir.Value, axes: Sequence[int]) -> ir.Value:
    """Return the gradient of x, of that of (x - mean) / deviation over `axes` (Ba et al. 2016).

    With z the standardised x and g its gradient: (g - mean(g) - z mean(g z)) / deviation.
    """
    centred = call.op("Sub", x, call.mean(x, axes))
    variance = call.mean(call.op("Mul", centred, centred), axes)
    deviation = call.op("Sqrt", call.op("Add", variance, call.attribute("epsilon", 1e-5)))
    z = call.op("Div", centred, deviation)
    along = call.op("Mul", z, call.mean(call.op("Mul", gradient, z), axes))
    rest = call.op("Sub", call.op("Sub", gradient, call.mean(gradient, axes)), along)
    return call.op("Div", rest, deviation)


def _by_channel(call: Call, value: ir.Value) -> ir.Value:
    """One number a channel, to be broadcast over x."""
    return call.op("Reshape", value, (-1, *[1] * (call.rank(call.x) - 2)))


NORMALISATION: Table = {
    "BatchNormalization": first(_batch),
    "GroupNormalization": first(_group),
    "InstanceNormalization": first(_instance),
    "LayerNormalization": first(_layer),
}
