"""The optimisers' updates as nodes, in torch's form and order of operations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx_ir as ir

from splitnet.codec.nodes import Nodes
from splitnet.learn.step.scalars import scalar
from splitnet.package import Optimiser

# torch.optim.Adam's defaults.
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8

_RATE, _MOMENTUM, _COUNT = "train/learning_rate", "train/momentum", "state/count"


@dataclass(frozen=True, slots=True)
class Update:
    """What an optimiser works on.

    Attributes:
        nodes: where to add its own.
        parameters: what learns.
        gradients: one for each.
        inputs: the step's inputs by name, state and scalars among them.
    """

    nodes: Nodes
    parameters: Sequence[ir.Value]
    gradients: Sequence[ir.Value]
    inputs: Mapping[str, ir.Value]

    def op(self, operator: str, *values: ir.Value | float) -> ir.Value:
        """Add a node; numbers become float32 constants."""
        taken = [value if isinstance(value, ir.Value) else scalar(self.nodes, value) for value in values]
        return self.nodes.add(operator, taken)


#: Adds the nodes of a step and returns what parameters and state become, by their names.
Optimise: TypeAlias = Callable[[Update], dict[str, ir.Value]]


def _sgd(update: Update) -> dict[str, ir.Value]:
    """With momentum m and rate r: v' = m v + g; p' = p - r v' (torch.optim.SGD without dampening)."""
    made: dict[str, ir.Value] = {}
    for parameter, gradient in zip(update.parameters, update.gradients, strict=True):
        state = f"state/momentum/{parameter.name}"
        kept = update.op("Mul", update.inputs[state], update.inputs[_MOMENTUM])
        made[state] = update.op("Add", kept, gradient)
        made[parameter.name or ""] = update.op(
            "Sub", parameter, update.op("Mul", made[state], update.inputs[_RATE])
        )
    return made


def _adam(update: Update) -> dict[str, ir.Value]:
    """Kingma and Ba, "Adam", 2015, with torch.optim.Adam's defaults and its place of epsilon."""
    count = update.op("Add", update.inputs[_COUNT], 1.0)
    rate, root = _corrections(update, count)
    made = {_COUNT: count}
    for parameter, gradient in zip(update.parameters, update.gradients, strict=True):
        first, second = (f"state/{kind}/{parameter.name}" for kind in ("first", "second"))
        mean, square = update.inputs[first], update.inputs[second]
        made[first] = update.op("Add", mean, update.op("Mul", update.op("Sub", gradient, mean), 1 - _BETA1))
        new = update.op("Mul", update.op("Mul", gradient, gradient), 1 - _BETA2)
        made[second] = update.op("Add", update.op("Mul", square, _BETA2), new)
        length = update.op("Add", update.op("Div", update.op("Sqrt", made[second]), root), _EPSILON)
        change = update.op("Mul", update.op("Div", made[first], length), rate)
        made[parameter.name or ""] = update.op("Sub", parameter, change)
    return made


def _corrections(update: Update, count: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Return rate / (1 - beta1^t) and sqrt(1 - beta2^t), in float64: 1 - 0.999 loses five digits in 32."""
    nodes = update.nodes
    steps, rate = (nodes.add("Cast", [value], to=ir.DataType.DOUBLE) for value in (count, update.inputs[_RATE]))

    def correction(beta: float) -> ir.Value:
        power = nodes.add("Pow", [scalar(nodes, beta, np.float64), steps])
        return nodes.add("Sub", [scalar(nodes, 1.0, np.float64), power])

    exact = nodes.add("Div", [rate, correction(_BETA1)]), nodes.add("Sqrt", [correction(_BETA2)])
    first, second = (nodes.add("Cast", [value], to=ir.DataType.FLOAT) for value in exact)
    return first, second


#: What each optimiser does, and the scalar inputs that only it takes.
UPDATES: Mapping[Optimiser, Optimise] = {"sgd": _sgd, "adam": _adam}
SCALARS: Mapping[Optimiser, tuple[str, ...]] = {"sgd": (_MOMENTUM,), "adam": ()}
