"""Values taken from, or put at, places that another tensor names."""

from functools import partial

import torch
from torch import Tensor

from splitnet.learn.operators.call import Call, Table


def _from_end(indices: Tensor, size: int) -> Tensor:
    """Negative indices count from the end."""
    return torch.where(indices < 0, indices + size, indices).long()


def _gather(call: Call) -> Tensor:
    axis = call.attribute("axis", 0) % call.x.ndim
    indices = _from_end(call.required(1), call.x.shape[axis])
    taken = call.x.index_select(axis, indices.reshape(-1))
    return taken.reshape(*call.x.shape[:axis], *indices.shape, *call.x.shape[axis + 1 :])


def _gather_elements(call: Call) -> Tensor:
    axis = call.attribute("axis", 0)
    return torch.gather(call.x, axis, _from_end(call.required(1), call.x.shape[axis]))


def _gather_nd(call: Call) -> Tensor:
    call.require(not call.attribute("batch_dims", 0), "it has batch_dims")
    return call.x[_places(call)]


def _places(call: Call) -> tuple[Tensor, ...]:
    """Take the last axis of input 1 apart into an index for each leading axis of the tensor."""
    parts = call.required(1).unbind(-1)
    return tuple(_from_end(part, size) for part, size in zip(parts, call.x.shape, strict=False))


def _scatter_elements(call: Call) -> Tensor:
    _refuse_reduction(call)
    axis = call.attribute("axis", 0)
    indices = _from_end(call.required(1), call.x.shape[axis])
    return torch.scatter(call.x, axis, indices, call.required(2))


def _scatter_nd(call: Call) -> Tensor:
    _refuse_reduction(call)
    return torch.index_put(call.x, _places(call), call.required(2))


def _refuse_reduction(call: Call) -> None:
    reduction = call.attribute("reduction", "none")
    call.require(reduction == "none", f"it scatters with reduction {reduction}")


def _range(call: Call) -> Tensor:
    start, limit, delta = (call.required(index) for index in range(3))
    arange = partial(torch.arange, dtype=start.dtype, device=start.device)
    return arange(start.item(), limit.item(), delta.item())


INDEXING: Table = {
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Range": _range,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
}
