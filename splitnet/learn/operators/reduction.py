"""Reductions over axes, and where the extremes are."""

from collections.abc import Callable

import torch
from torch import Tensor

from splitnet.learn.operators.call import Call, Operator, Table

_Reduce = Callable[..., Tensor]


def _reduced(function: _Reduce) -> Operator:
    """Return the operator that applies `function(x, axes, keepdim=...)`."""

    def reduce(call: Call) -> Tensor:
        axes = call.axes(1)
        if not axes and call.attribute("noop_with_empty_axes", 0):
            return function(call.x.unsqueeze(-1), [-1], keepdim=False)  # each element by itself
        axes = axes or list(range(call.x.ndim))
        return function(call.x, axes, keepdim=bool(call.attribute("keepdims", 1)))

    return reduce


def _product(x: Tensor, axes: list[int], *, keepdim: bool) -> Tensor:
    # The last axis first: the others keep their places.
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = torch.prod(x, axis, keepdim=keepdim)
    return x


def _argument(function: _Reduce) -> Operator:
    def argument(call: Call) -> Tensor:
        call.require(not call.attribute("select_last_index", 0), "the last of equal values is asked for")
        return function(call.x, call.attribute("axis", 0), keepdim=bool(call.attribute("keepdims", 1)))

    return argument


def _top(call: Call) -> tuple[Tensor, ...]:
    axis, largest = call.attribute("axis", -1), bool(call.attribute("largest", 1))
    values, indices = torch.topk(call.x, int(call.required(1)), axis, largest, sorted=True)
    return values, indices


def _running_sum(call: Call) -> Tensor:
    axis = int(call.required(1))
    x = call.x.flip(axis) if call.attribute("reverse", 0) else call.x
    total = torch.cumsum(x, axis)
    if call.attribute("exclusive", 0):
        total = total - x
    return total.flip(axis) if call.attribute("reverse", 0) else total


def _norm(order: int) -> _Reduce:
    return lambda x, axes, keepdim: torch.linalg.vector_norm(x, order, axes, keepdim=keepdim)


REDUCTION: Table = {
    "ArgMax": _argument(torch.argmax),
    "ArgMin": _argument(torch.argmin),
    "CumSum": _running_sum,
    "ReduceL1": _reduced(_norm(1)),
    "ReduceL2": _reduced(_norm(2)),
    "ReduceLogSumExp": _reduced(torch.logsumexp),
    "ReduceMax": _reduced(torch.amax),
    "ReduceMean": _reduced(torch.mean),
    "ReduceMin": _reduced(torch.amin),
    "ReduceProd": _reduced(_product),
    "ReduceSum": _reduced(torch.sum),
    "ReduceSumSquare": _reduced(lambda x, axes, keepdim: x.square().sum(axes, keepdim=keepdim)),
    "TopK": _top,
}
