"""Layout: other shapes and orders of the same values."""

from math import prod

import torch
from torch import Tensor

from splitnet.learn.operators.call import Call, Table


def _reshape(call: Call) -> Tensor:
    shape = call.integers(1) or []
    if not call.attribute("allowzero", 0):
        shape = [call.x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    return call.x.reshape(shape)


def _flatten(call: Call) -> Tensor:
    axis = call.attribute("axis", 1)
    axis = axis + call.x.ndim if axis < 0 else axis
    return call.x.reshape(prod(call.x.shape[:axis]), -1)


def _transpose(call: Call) -> Tensor:
    return call.x.permute(tuple(call.attribute("perm", range(call.x.ndim)[::-1])))


def _squeeze(call: Call) -> Tensor:
    axes = call.axes(1)
    return call.x.squeeze() if axes is None else call.x.squeeze(tuple(axes))


def _unsqueeze(call: Call) -> Tensor:
    axes = call.axes(1) or []
    rank = call.x.ndim + len(axes)
    x = call.x
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _expand(call: Call) -> Tensor:
    """A size of 1 keeps the tensor's own."""
    sizes = call.integers(1) or []
    own = [1] * (len(sizes) - call.x.ndim) + list(call.x.shape)
    wanted = [1] * (len(own) - len(sizes)) + sizes
    return call.x.expand([mine if size == 1 else size for mine, size in zip(own, wanted, strict=True)])


def _concatenate(call: Call) -> Tensor:
    parts = [call.required(index) for index in range(len(call.inputs))]
    return torch.cat(parts, call.attribute("axis", 0))


def _split(call: Call) -> tuple[Tensor, ...]:
    axis = call.attribute("axis", 0)
    whole = call.x.shape[axis]
    sizes = call.integers(1)
    if sizes is not None:
        return torch.split_with_sizes(call.x, sizes, axis)
    parts = call.attribute("num_outputs", call.outputs)
    size = -(-whole // parts)
    return tuple(call.x.narrow(axis, start, min(size, whole - start)) for start in range(0, whole, size))


def _slice(call: Call) -> Tensor:
    starts, ends = (call.required(index).tolist() for index in (1, 2))
    axes = call.integers(3) or list(range(len(starts)))
    steps = call.integers(4) or [1] * len(starts)
    x = call.x
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        x = _sliced(x, axis % x.ndim, slice(start, end, step))
    return x


def _sliced(x: Tensor, axis: int, part: slice) -> Tensor:
    """Python's slices clamp as ONNX's do; torch knows no steps backwards."""
    if part.step > 0:
        return x[(slice(None),) * axis + (part,)]
    kept = list(range(*part.indices(x.shape[axis])))
    return x.index_select(axis, torch.tensor(kept, dtype=torch.int64, device=x.device))


def _tile(call: Call) -> Tensor:
    return call.x.repeat(call.integers(1) or [])


def _triangle(call: Call) -> Tensor:
    diagonal = (call.integers(1) or [0])[0]
    return (torch.triu if call.attribute("upper", 1) else torch.tril)(call.x, diagonal)


def _depth_to_space(call: Call) -> Tensor:
    size, (batch, channels, height, width) = call.attribute("blocksize", 1), call.x.shape
    inner = channels // size**2
    if call.attribute("mode", "DCR") == "DCR":
        blocks = call.x.reshape(batch, size, size, inner, height, width).permute(0, 3, 4, 1, 5, 2)
    else:
        blocks = call.x.reshape(batch, inner, size, size, height, width).permute(0, 1, 4, 2, 5, 3)
    return blocks.reshape(batch, inner, height * size, width * size)


def _space_to_depth(call: Call) -> Tensor:
    size, (batch, channels, height, width) = call.attribute("blocksize", 1), call.x.shape
    blocks = call.x.reshape(batch, channels, height // size, size, width // size, size)
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(batch, channels * size**2, height // size, width // size)


LAYOUT: Table = {
    "Concat": _concatenate,
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _triangle,
    "Unsqueeze": _unsqueeze,
}
