"""Backward of matrix products."""

import onnx_ir as ir

from splitnet.learn.gradient.call import Call, Gradients, Table, unbroadcast


def _gemm(call: Call) -> Gradients:
    """Y = alpha A' B' + beta C, where A' and B' may be transposed."""
    a, b = call.x, call.required(1)
    flip_a, flip_b = call.attribute("transA", 0), call.attribute("transB", 0)
    alpha = call.attribute("alpha", 1.0)

    def product(left: ir.Value, right: ir.Value, flip_left: int, flip_right: int) -> ir.Value:
        return call.op("Gemm", left, right, transA=flip_left, transB=flip_right, alpha=alpha)

    made: dict[int, ir.Value] = {}
    if 0 in call.wanted:
        made[0] = product(b, call.dy, flip_b, 1) if flip_a else product(call.dy, b, 0, 1 - flip_b)
    if 1 in call.wanted:
        made[1] = product(call.dy, a, 1, flip_a) if flip_b else product(a, call.dy, 1 - flip_a, 0)
    if 2 in call.wanted:
        total = unbroadcast(call, call.dy, call.required(2), call.dimensions(call.y))
        beta = call.attribute("beta", 1.0)
        made[2] = total if beta == 1 else call.op("Mul", total, beta)
    return made


def _matmul(call: Call) -> Gradients:
    """Y = A B, both stacks of matrices of which either may be repeated."""
    a, b = call.x, call.required(1)
    ranks = call.rank(a), call.rank(b)
    call.require(min(ranks) >= 2, "one of its inputs is a vector")
    stack = call.dimensions(call.y)[:-2]
    made: dict[int, ir.Value] = {}
    if 0 in call.wanted:
        whole = call.op("MatMul", call.dy, _flipped(call, b))
        made[0] = unbroadcast(call, whole, a, (*stack, *call.dimensions(a)[-2:]))
    if 1 in call.wanted and ranks[1] == 2:
        made[1] = call.op("Gemm", _rows(call, a, a), _rows(call, call.dy, call.y), transA=1)
    elif 1 in call.wanted:
        whole = call.op("MatMul", _flipped(call, a), call.dy)
        made[1] = unbroadcast(call, whole, b, (*stack, *call.dimensions(b)[-2:]))
    return made


def _rows(call: Call, value: ir.Value, like: ir.Value) -> ir.Value:
    """All rows of a stack of matrices, shaped as `like`, as one matrix: a weight's gradient is one product."""
    return value if call.rank(like) == 2 else call.op("Reshape", value, (-1, call.size(like, -1)))


def _flipped(call: Call, value: ir.Value) -> ir.Value:
    rank = call.rank(value)
    return call.op("Transpose", value, perm=[*range(rank - 2), rank - 1, rank - 2])


MATRICES: Table = {"Gemm": _gemm, "MatMul": _matmul}
