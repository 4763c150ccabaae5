"""Backward of what rearranges, selects, repeats or converts elements."""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from splitnet.learn.gradient.call import Call, Gradients, Table, first, unbroadcast


def _reshape(call: Call) -> ir.Value:
    return call.op("Reshape", call.dy, call.shape_of(call.x))


def _transpose(call: Call) -> ir.Value:
    rank = call.rank(call.x)
    order = call.attribute("perm", range(rank)[::-1])
    return call.op("Transpose", call.dy, perm=[list(order).index(axis) for axis in range(rank)])


def _expand(call: Call) -> ir.Value:
    return unbroadcast(call, call.dy, call.x, call.dimensions(call.y))


def _concat(call: Call) -> Gradients:
    axis = call.attribute("axis", 0) % call.rank(call.y)
    made, start = {}, 0
    for index in range(len(call.node.inputs)):
        end = start + call.size(call.required(index), axis)
        if index in call.wanted:
            made[index] = call.op("Slice", call.dy, (start,), (end,), (axis,))
        start = end
    return made


def _split(call: Call) -> ir.Value:
    axis = call.attribute("axis", 0) % call.rank(call.x)
    parts, start = [], 0
    for gradient, output in zip(call.upstream, call.node.outputs, strict=True):
        end = start + call.size(output, axis)
        parts.append(_zeros(call, axis, start, end) if gradient is None else gradient)
        start = end
    return call.op("Concat", *parts, axis=axis)


def _zeros(call: Call, axis: int, start: int, end: int) -> ir.Value:
    """Zeros of the shape of a part of x."""
    part = call.op("Slice", call.x, (start,), (end,), (axis,))
    return call.op("Expand", 0.0, call.shape_of(part))


def _slice(call: Call) -> ir.Value:
    """Axis by axis; one whose size is open must be taken whole."""
    starts, ends = (call.integers(index) or [] for index in (1, 2))
    rank = call.rank(call.x)
    axes = [axis % rank for axis in call.integers(3) or range(len(starts))]
    steps = call.integers(4) or [1] * len(starts)
    gradient = call.dy
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        size = call.dimensions(call.x)[axis]
        if not isinstance(size, int) and (start, step) == (0, 1) and end >= np.iinfo(np.int32).max:
            continue
        picked = np.arange(call.size(call.x, axis))[slice(start, end, step)]
        gradient = _put_back(call, gradient, axis, picked.tolist())
    return gradient


def _gather(call: Call) -> ir.Value:
    axis = call.attribute("axis", 0) % call.rank(call.x)
    size = call.size(call.x, axis)
    picked = [index % size for index in call.integers(1) or []]
    rank = call.rank(call.required(1))
    call.require(rank <= 1, f"its indices have {rank} axes")
    call.require(len(set(picked)) == len(picked), "it takes an element more than once")
    return _put_back(call, call.op("Unsqueeze", call.dy, (axis,)) if rank == 0 else call.dy, axis, picked)


def _put_back(call: Call, gradient: ir.Value, axis: int, picked: Sequence[int]) -> ir.Value:
    """Give each element that was picked along an axis its gradient, and the others zero."""
    size = call.size(call.x, axis)
    if list(picked) == list(range(size)):
        return gradient
    # Those that were not picked take the zero that is put behind the gradient.
    source = np.full(size, len(picked))
    source[list(picked)] = np.arange(len(picked))
    ends = [0] * call.rank(call.x)
    ends[axis] = 1
    longer = call.op("Pad", gradient, (*[0] * len(ends), *ends))
    return call.op("Gather", longer, source.tolist(), axis=axis)


def _pad(call: Call) -> ir.Value:
    """What was added is cut off again, and what was cut off comes back as zeros."""
    call.require(call.attribute("mode", "constant") == "constant", "its mode is not constant")
    rank, pads = call.rank(call.x), call.integers(1) or []
    axes = call.integers(3) or list(range(rank))
    undone = [0] * (2 * rank)
    for place, axis in enumerate(axes):
        undone[axis % rank] = -pads[place]
        undone[rank + axis % rank] = -pads[len(axes) + place]
    return call.op("Pad", call.dy, undone)


def _dropout(call: Call) -> ir.Value:
    training = call.given(2)
    call.require(training is None or not any(call.integers(2) or []), "it is in training mode")
    return call.dy


def _cast(call: Call) -> ir.Value:
    dtype = call.x.dtype
    call.require(dtype is not None and dtype.is_floating_point(), f"its input is of type {dtype}")
    return call.op("Cast", call.dy, to=dtype)


LAYOUT: Table = {
    "Cast": first(_cast),
    "Concat": _concat,
    "Dropout": first(_dropout),
    "Expand": first(_expand),
    "Flatten": first(_reshape),
    "Gather": first(_gather),
    "Identity": first(lambda call: call.dy),
    "Pad": first(_pad),
    "Reshape": first(_reshape),
    "Slice": first(_slice),
    "Split": first(_split),
    "Squeeze": first(_reshape),
    "Transpose": first(_transpose),
    "Unsqueeze": first(_reshape),
}
