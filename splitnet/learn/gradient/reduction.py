"""Backward of reductions over axes."""

import math
from collections.abc import Callable, Sequence

import onnx_ir as ir

from splitnet.learn.gradient.call import Backward, Call, Table, first


def among_equals(call: Call, extreme: ir.Value, gradient: ir.Value, axes: Sequence[int]) -> ir.Value:
    """Divide a gradient evenly among the elements that equal the extreme of theirs, as torch does.

    Args:
        call: of the reduction of x.
        extreme: the largest or smallest along `axes`, which have size 1 in it.
        gradient: of `extreme`.
        axes: that were reduced.
    """
    dtype = call.y.dtype or ir.DataType.FLOAT
    level = call.op("Cast", call.op("Equal", call.x, extreme), to=dtype)
    return call.op("Mul", level, call.op("Div", gradient, call.sum(level, axes)))


def _reduced(gradient: Callable[[Call, list[int], ir.Value], ir.Value]) -> Backward:
    """Return the backward function of a reduction.

    Args:
        gradient: of x, made of the reduced axes and of the output's gradient with those axes at size 1.
    """

    def backward(call: Call) -> ir.Value:
        axes = _axes(call)
        return gradient(call, axes, _kept(call, call.dy, axes))

    return first(backward)


def _axes(call: Call) -> list[int]:
    """The axes that are reduced; with none, each element stands alone: ReduceL1 is |x| then, ReduceSum x."""
    rank, axes = call.rank(call.x), call.axes(1)
    if axes:
        return sorted(axis % rank for axis in axes)
    return [] if call.attribute("noop_with_empty_axes", 0) else list(range(rank))


def _kept(call: Call, value: ir.Value, axes: Sequence[int]) -> ir.Value:
    """A tensor of the output's shape, with the reduced axes at size 1 whether the node keeps them or not."""
    return value if call.attribute("keepdims", 1) or not axes else call.op("Unsqueeze", value, axes)


def _spread(call: Call, gradient: ir.Value) -> ir.Value:
    return call.op("Expand", gradient, call.shape_of(call.x))


def _mean(call: Call, axes: list[int], dy: ir.Value) -> ir.Value:
    count = math.prod(call.size(call.x, axis) for axis in axes)
    return _spread(call, call.op("Div", dy, float(count)))


def _extreme(call: Call, axes: list[int], dy: ir.Value) -> ir.Value:
    if not axes:
        return dy
    return among_equals(call, _kept(call, call.y, axes), dy, axes)


def _length(call: Call, axes: list[int], dy: ir.Value) -> ir.Value:
    """The slope is x / |x|; nothing where the length is 0, as in torch."""
    length = _kept(call, call.y, axes)
    share = call.op("Where", call.op("Equal", length, 0.0), 0.0, call.op("Div", dy, length))
    return call.op("Mul", call.x, share)


REDUCTION: Table = {
    "ReduceL1": _reduced(lambda call, _axes, dy: call.op("Mul", dy, call.op("Sign", call.x))),
    "ReduceL2": _reduced(_length),
    "ReduceMax": _reduced(_extreme),
    "ReduceMean": _reduced(_mean),
    "ReduceMin": _reduced(_extreme),
    "ReduceSum": _reduced(lambda call, _axes, dy: _spread(call, dy)),
    "ReduceSumSquare": _reduced(lambda call, _axes, dy: call.op("Mul", dy, call.op("Mul", call.x, 2.0))),
}
