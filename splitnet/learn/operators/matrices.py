"""Products of matrices."""

import torch
from torch import Tensor

from splitnet.learn.operators.call import Call, Table, pairwise


def _gemm(call: Call) -> Tensor:
    a = call.x.t() if call.attribute("transA", 0) else call.x
    b = call.required(1).t() if call.attribute("transB", 0) else call.required(1)
    product = call.attribute("alpha", 1.0) * (a @ b)
    c = call.given(2)
    return product if c is None else product + call.attribute("beta", 1.0) * c


def _einsum(call: Call) -> Tensor:
    operands = [call.required(index) for index in range(len(call.inputs))]
    return torch.einsum(call.attribute("equation", ""), *operands)


MATRICES: Table = {"Einsum": _einsum, "Gemm": _gemm, "MatMul": pairwise(torch.matmul)}
