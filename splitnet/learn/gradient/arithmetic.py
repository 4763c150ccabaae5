"""Backward of arithmetic, element by element, and of choices between tensors."""

import math
from functools import partial

import onnx_ir as ir

from splitnet.learn.gradient.call import Call, Gradients, Operand, Table, broadcast, first, scaled, unbroadcast


def _dy(call: Call) -> ir.Value:
    return call.dy


def _negative(call: Call) -> ir.Value:
    return call.op("Neg", call.dy)


def _times(index: int, call: Call) -> ir.Value:
    return call.op("Mul", call.dy, call.required(index))


def _over_divisor(call: Call) -> ir.Value:
    return call.op("Div", call.dy, call.required(1))


def _by_divisor(call: Call) -> ir.Value:
    return call.op("Neg", call.op("Div", call.op("Mul", call.dy, call.y), call.required(1)))


def _by_base(call: Call) -> ir.Value:
    """The slope n x^(n - 1); nothing where n is 0, as in torch."""
    exponent = _exponent(call)
    power = call.op("Pow", call.x, call.op("Sub", exponent, 1.0))
    slope = call.op("Mul", exponent, power)
    return call.op("Where", call.op("Equal", exponent, 0.0), 0.0, call.op("Mul", call.dy, slope))


def _by_exponent(call: Call) -> ir.Value:
    """The slope x^n log x; nothing where x is 0, as in torch."""
    slope = call.op("Mul", call.y, call.op("Log", call.x))
    return call.op("Where", call.op("Equal", call.x, 0.0), 0.0, call.op("Mul", call.dy, slope))


def _exponent(call: Call) -> ir.Value:
    """An exponent may be of another type than its base."""
    dtype = call.y.dtype or ir.DataType.FLOAT
    return call.op("Cast", call.required(1), to=dtype)


def _gaussian(call: Call) -> ir.Value:
    square = call.op("Mul", call.x, call.x)
    return call.op("Mul", 2 / math.sqrt(math.pi), call.op("Exp", call.op("Neg", square)))


def _sum(call: Call) -> Gradients:
    return _alike(call, call.dy)


def _mean(call: Call) -> Gradients:
    return _alike(call, call.op("Mul", call.dy, 1 / len(call.node.inputs)))


def _alike(call: Call, gradient: ir.Value) -> Gradients:
    shape = call.dimensions(call.y)
    return {index: unbroadcast(call, gradient, call.required(index), shape) for index in sorted(call.wanted)}


def _extreme(beats: str, call: Call) -> Gradients:
    """Follow the fold back from its end: each tensor takes what it won, and one half where it is level."""
    shape, inputs = call.dimensions(call.y), [call.required(index) for index in range(len(call.node.inputs))]
    folded = [inputs[0]]
    for value in inputs[1:-1]:
        folded.append(call.op(call.node.op_type, folded[-1], value))
    left, made = call.dy, {}
    for index in range(len(inputs) - 1, 0, -1):
        others, own = folded[index - 1], inputs[index]
        won = call.op("Where", call.op(beats, own, others), left, 0.0)
        taken = call.op("Where", call.op("Equal", own, others), call.op("Mul", left, 0.5), won)
        made[index] = taken
        left = call.op("Sub", left, taken)
    made[0] = left
    return {index: unbroadcast(call, made[index], inputs[index], shape) for index in sorted(call.wanted)}


def _where(call: Call) -> Gradients:
    shape = call.dimensions(call.y)
    sides: dict[int, tuple[Operand, Operand]] = {1: (call.dy, 0.0), 2: (0.0, call.dy)}
    call.require(call.wanted <= sides.keys(), "a condition has no gradient")
    return {
        index: unbroadcast(call, call.op("Where", call.x, *sides[index]), call.required(index), shape)
        for index in sorted(call.wanted)
    }


ARITHMETIC: Table = {
    "Abs": scaled(lambda call: call.op("Sign", call.x)),
    "Add": broadcast(_dy, _dy),
    "Cos": scaled(lambda call: call.op("Neg", call.op("Sin", call.x))),
    "Div": broadcast(_over_divisor, _by_divisor),
    "Erf": scaled(_gaussian),
    "Exp": scaled(lambda call: call.y),
    "Log": first(lambda call: call.op("Div", call.dy, call.x)),
    "Max": partial(_extreme, "Greater"),
    "Mean": _mean,
    "Min": partial(_extreme, "Less"),
    "Mul": broadcast(partial(_times, 1), partial(_times, 0)),
    "Neg": first(_negative),
    "Pow": broadcast(_by_base, _by_exponent),
    "Reciprocal": scaled(lambda call: call.op("Neg", call.op("Mul", call.y, call.y))),
    "Sin": scaled(lambda call: call.op("Cos", call.x)),
    "Sqrt": first(lambda call: call.op("Div", call.op("Mul", call.dy, 0.5), call.y)),
    "Sub": broadcast(_dy, _negative),
    "Sum": _sum,
    "Where": _where,
}
