"""Resize: nearest, linear and cubic interpolation, one axis after the other."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from splitnet.learn.operators.call import Call, Table

# ONNX's default sharpness of cubic interpolation (Keys, 1981).
_CUBIC_A = -0.75
# Coordinates are computed in float64; nearest neighbours at an exact half need ties to stay ties.
_FLOAT = torch.float64


@dataclass(frozen=True, slots=True)
class _Axis:
    """An axis and what becomes of its size; `scale` is what ONNX computes with, not always `after / before`."""

    index: int
    before: int
    after: int
    scale: float


def _half_pixel(at: Tensor, axis: _Axis) -> Tensor:
    return (at + 0.5) / axis.scale - 0.5


def _pytorch_half_pixel(at: Tensor, axis: _Axis) -> Tensor:
    return _half_pixel(at, axis) if axis.after > 1 else torch.zeros_like(at)


def _half_pixel_symmetric(at: Tensor, axis: _Axis) -> Tensor:
    adjustment = axis.after / (axis.scale * axis.before)
    return axis.before / 2 * (1 - adjustment) + _half_pixel(at, axis)


def _align_corners(at: Tensor, axis: _Axis) -> Tensor:
    return at * ((axis.before - 1) / (axis.after - 1)) if axis.after > 1 else torch.zeros_like(at)


_COORDINATES: dict[str, Callable[[Tensor, _Axis], Tensor]] = {
    "align_corners": _align_corners,
    "asymmetric": lambda at, axis: at / axis.scale,
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _half_pixel_symmetric,
    "pytorch_half_pixel": _pytorch_half_pixel,
}

_NEAREST: dict[str, Callable[[Tensor], Tensor]] = {
    "ceil": torch.ceil,
    "floor": torch.floor,
    "round_prefer_ceil": lambda at: torch.floor(at + 0.5),
    "round_prefer_floor": lambda at: torch.ceil(at - 0.5),
}


def _resize(call: Call) -> Tensor:
    for option in ("antialias", "exclude_outside"):
        call.require(not call.attribute(option, 0), f"{option} is on")
    mode = call.attribute("coordinate_transformation_mode", "half_pixel")
    call.require(mode in _COORDINATES, f"coordinates are {mode}")
    x = call.x
    for axis in _axes(call):
        if axis.after != axis.before or axis.scale != 1:
            at = _COORDINATES[mode](torch.arange(axis.after, dtype=_FLOAT), axis)
            x = _interpolated(call, x, axis, at)
    return x


def _axes(call: Call) -> list[_Axis]:
    policy = call.attribute("keep_aspect_ratio_policy", "stretch")
    call.require(policy == "stretch", f"the aspect ratio is kept ({policy})")
    chosen = [axis % call.x.ndim for axis in call.attribute("axes", range(call.x.ndim))]
    before = [call.x.shape[axis] for axis in chosen]
    sizes, scales = call.integers(3), call.given(2)
    if sizes:
        return [
            _Axis(axis, size, after, after / size) for axis, size, after in zip(chosen, before, sizes, strict=True)
        ]
    factors = [] if scales is None else scales.tolist()
    return [
        _Axis(axis, size, int(size * factor), factor)
        for axis, size, factor in zip(chosen, before, factors, strict=True)
    ]


def _interpolated(call: Call, x: Tensor, axis: _Axis, at: Tensor) -> Tensor:
    mode = call.attribute("mode", "nearest")
    if mode == "nearest":
        nearest = _NEAREST[call.attribute("nearest_mode", "round_prefer_floor")](at)
        return x.index_select(axis.index, _within(nearest, axis).to(x.device))
    floor = torch.floor(at)
    weights = _linear(at - floor) if mode == "linear" else _cubic(call, at - floor)
    ones = [1] * x.ndim
    ones[axis.index] = axis.after
    taken = [
        x.index_select(axis.index, _within(floor + offset, axis).to(x.device)) * weight.reshape(ones).to(x)
        for offset, weight in weights.items()
    ]
    return torch.stack(taken).sum(0)


def _within(places: Tensor, axis: _Axis) -> Tensor:
    return places.long().clamp(0, axis.before - 1)


def _linear(part: Tensor) -> dict[int, Tensor]:
    return {0: 1 - part, 1: part}


def _cubic(call: Call, part: Tensor) -> dict[int, Tensor]:
    a = call.attribute("cubic_coeff_a", _CUBIC_A)

    def near(d: Tensor) -> Tensor:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: Tensor) -> Tensor:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return {-1: far(part + 1), 0: near(part), 1: near(1 - part), 2: far(2 - part)}


RESIZE: Table = {"Resize": _resize}
