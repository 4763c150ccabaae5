"""Comparison, logic, and choice between two tensors."""

import torch
from torch import Tensor

from splitnet.learn.operators.call import Call, Table, elementwise, pairwise


def _where(call: Call) -> Tensor:
    return torch.where(call.x, call.required(1), call.required(2))


COMPARISON: Table = {
    "And": pairwise(torch.logical_and),
    "Equal": pairwise(torch.eq),
    "Greater": pairwise(torch.gt),
    "GreaterOrEqual": pairwise(torch.ge),
    "IsInf": elementwise(torch.isinf),
    "IsNaN": elementwise(torch.isnan),
    "Less": pairwise(torch.lt),
    "LessOrEqual": pairwise(torch.le),
    "Not": elementwise(torch.logical_not),
    "Or": pairwise(torch.logical_or),
    "Where": _where,
    "Xor": pairwise(torch.logical_xor),
}
