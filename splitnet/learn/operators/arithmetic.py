"""Arithmetic, element by element."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from splitnet.learn.operators.call import Call, Operator, Table, elementwise, pairwise


def _divide(a: Tensor, b: Tensor) -> Tensor:
    """Integers are divided towards zero."""
    return torch.div(a, b) if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _power(base: Tensor, exponent: Tensor) -> Tensor:
    """The result is of the base's type, whatever the exponent's."""
    return torch.pow(base, exponent).to(base.dtype)


def _modulo(call: Call) -> Tensor:
    """The sign is the dividend's with `fmod`, else the divisor's."""
    return (torch.fmod if call.attribute("fmod", 0) else torch.remainder)(call.x, call.required(1))


def _folded(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    """Return the operator that folds any number of inputs."""
    return lambda call: functools.reduce(function, _all(call))


def _all(call: Call) -> list[Tensor]:
    return [call.required(index) for index in range(len(call.inputs))]


def _mean(call: Call) -> Tensor:
    return functools.reduce(torch.add, _all(call)) / len(call.inputs)


ARITHMETIC: Table = {
    "Abs": elementwise(torch.abs),
    "Add": pairwise(torch.add),
    "Ceil": elementwise(torch.ceil),
    "Cos": elementwise(torch.cos),
    "Div": pairwise(_divide),
    "Erf": elementwise(torch.erf),
    "Exp": elementwise(torch.exp),
    "Floor": elementwise(torch.floor),
    "Log": elementwise(torch.log),
    "Max": _folded(torch.maximum),
    "Mean": _mean,
    "Min": _folded(torch.minimum),
    "Mod": _modulo,
    "Mul": pairwise(torch.mul),
    "Neg": elementwise(torch.neg),
    "Pow": pairwise(_power),
    "Reciprocal": elementwise(torch.reciprocal),
    "Round": elementwise(torch.round),
    "Sign": elementwise(torch.sign),
    "Sin": elementwise(torch.sin),
    "Sqrt": elementwise(torch.sqrt),
    "Sub": pairwise(torch.sub),
    "Sum": _folded(torch.add),
    "Tan": elementwise(torch.tan),
}
