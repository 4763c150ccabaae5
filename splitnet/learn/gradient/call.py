"""One node that is differentiated: what flows back to it, and how its backward nodes are written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import onnx_ir as ir

from splitnet.codec.nodes import Nodes
from splitnet.errors import ModelError

T = TypeVar("T")

#: What a backward node may take: a value, a number (a scalar of the gradient's type), integers, or nothing.
Operand: TypeAlias = ir.Value | float | Sequence[int] | None

#: Size of an axis: a number, an expression in the batch, or None where it is open.
Dimension: TypeAlias = int | str | None

#: Gradients of a node's inputs, by index.
Gradients: TypeAlias = Mapping[int, ir.Value]


@dataclass(frozen=True, slots=True)
class Call:
    """A node with the gradients of its outputs.

    Attributes:
        node: of the graph that is differentiated.
        nodes: collects what is added.
        upstream: the gradient of each output; None where the loss does not depend on it.
        wanted: indices of the inputs whose gradients are asked for.
        opset: version of ONNX's operators.
    """

    node: ir.Node
    nodes: Nodes
    upstream: tuple[ir.Value | None, ...]
    wanted: frozenset[int]
    opset: int

    @property
    def x(self) -> ir.Value:
        """The first input."""
        return self.required(0)

    @property
    def y(self) -> ir.Value:
        """The first output."""
        return self.node.outputs[0]

    @property
    def dy(self) -> ir.Value:
        """The gradient of the first output, the only one that the loss may depend on."""
        if self.upstream[0] is None or any(each is not None for each in self.upstream[1:]):
            raise self.refused("the loss depends on another output than its first")
        return self.upstream[0]

    def given(self, index: int) -> ir.Value | None:
        """Return an input, or None where it is left out."""
        return self.node.inputs[index] if index < len(self.node.inputs) else None

    def required(self, index: int) -> ir.Value:
        """Return an input that the operator cannot do without."""
        found = self.given(index)
        if found is None:
            raise self.refused(f"input {index} is missing")
        return found

    def attribute(self, name: str, default: T) -> T:
        """Return an attribute, or `default`."""
        found = self.node.attributes.get(name)
        value: T = default if found is None else found.value
        return value

    def integers(self, index: int) -> list[int] | None:
        """Return a constant input that holds sizes, axes or indices; None where it is left out."""
        found = self.given(index)
        if found is None:
            return None
        if found.const_value is None:
            raise self.refused(f"its input {found.name!r} is not a constant")
        return [int(number) for number in found.const_value.numpy().reshape(-1)]

    def axes(self, index: int) -> list[int] | None:
        """Return axes, which later opsets take as input `index` and earlier ones as an attribute."""
        found = self.integers(index)
        return found if found is not None else self.attribute("axes", None)

    def dimensions(self, value: ir.Value) -> tuple[Dimension, ...]:
        """Return the size of every axis of a tensor."""
        shape = _shape(value)
        if shape is None:
            raise self.refused(f"the shape of {value.name!r} is not on record")
        return shape

    def rank(self, value: ir.Value) -> int:
        """Return the number of axes of a tensor."""
        return len(self.dimensions(value))

    def size(self, value: ir.Value, axis: int) -> int:
        """Return the size of an axis that must have one."""
        found = self.dimensions(value)[axis]
        if not isinstance(found, int):
            raise self.refused(f"axis {axis} of {value.name!r} has no fixed size ({found})")
        return found

    def sizes(self, value: ir.Value) -> list[int]:
        """Return the sizes of the axes behind batch and channels."""
        return [self.size(value, axis) for axis in range(2, self.rank(value))]

    def op(self, operator: str, *operands: Operand, **attributes: Any) -> ir.Value:  # noqa: ANN401
        """Add a node with one output and return that."""
        return self.nodes.add(operator, [self._value(operand) for operand in operands], **attributes)

    def _value(self, operand: Operand) -> ir.Value | None:
        if operand is None or isinstance(operand, ir.Value):
            return operand
        if isinstance(operand, Sequence):
            return self.nodes.integers(*operand)
        dtype = self.y.dtype or ir.DataType.FLOAT
        return self.nodes.constant(np.array(operand, dtype.numpy()))

    def sum(self, value: ir.Value, axes: Sequence[int]) -> ir.Value:
        """Sum over axes, which stay with size 1."""
        return self.op("ReduceSum", value, axes, keepdims=1)

    def mean(self, value: ir.Value, axes: Sequence[int]) -> ir.Value:
        """Average over axes, which stay with size 1; they became an input with opset 18."""
        if self.opset >= 18:
            return self.op("ReduceMean", value, axes, keepdims=1)
        return self.op("ReduceMean", value, axes=list(axes), keepdims=1)

    def shape_of(self, value: ir.Value) -> ir.Value:
        """The shape of a tensor, when the graph runs."""
        return self.op("Shape", value)

    def require(self, holds: bool, otherwise: str) -> None:  # noqa: FBT001
        """Refuse with the reason `otherwise`, unless the condition holds."""
        if not holds:
            raise self.refused(otherwise)

    def refused(self, reason: str) -> ModelError:
        """Return the error for what cannot be differentiated."""
        return ModelError(f"node {self.node.name!r} ({self.node.op_type}): {reason}; it cannot be trained through")


def _shape(value: ir.Value) -> tuple[Dimension, ...] | None:
    """The shape on record; that of a rearranged weight, which no run observes, follows from the weight's."""
    if value.shape is not None:
        return tuple(size if isinstance(size, int) else size.value for size in value.shape.dims)
    node = value.producer()
    if node is None or node.op_type not in ("Identity", "Transpose") or node.inputs[0] is None:
        return None
    inner = _shape(node.inputs[0])
    if inner is None or node.op_type == "Identity":
        return inner
    return tuple(inner[axis] for axis in node.attributes.get_ints("perm", range(len(inner))[::-1]))


#: Writes the backward nodes of an operator: the gradients of those inputs that are wanted.
Backward: TypeAlias = Callable[[Call], Gradients]

#: Backward functions by the operators' names in ONNX.
Table: TypeAlias = Mapping[str, Backward]


def first(gradient: Callable[[Call], ir.Value]) -> Backward:
    """Return the backward function of an operator that only its first input can be differentiated by."""

    def backward(call: Call) -> Gradients:
        call.require(call.wanted == {0}, "only its first input has a gradient here")
        return {0: gradient(call)}

    return backward


def scaled(slope: Callable[[Call], ir.Value]) -> Backward:
    """Return the backward function of an operator with one input and that slope, element by element."""
    return first(lambda call: call.op("Mul", call.dy, slope(call)))


def broadcast(*gradients: Callable[[Call], ir.Value]) -> Backward:
    """Return the backward function of an operator that broadcasts its inputs.

    Args:
        gradients: for each input, its gradient in the shape of the output.
    """

    def backward(call: Call) -> Gradients:
        return {
            index: unbroadcast(call, make(call), call.required(index), call.dimensions(call.y))
            for index, make in enumerate(gradients)
            if index in call.wanted
        }

    return backward


def unbroadcast(call: Call, gradient: ir.Value, to: ir.Value, shape: Sequence[Dimension]) -> ir.Value:
    """Sum a gradient over the axes along which a tensor was broadcast.

    Args:
        call: whose.
        gradient: of `shape`.
        to: the tensor as it was before.
        shape: that it was broadcast to.
    """
    inner = call.dimensions(to)
    lead = len(shape) - len(inner)
    repeated = [lead + axis for axis, size in enumerate(inner) if size == 1 and shape[lead + axis] != 1]
    axes = [*range(lead), *repeated]
    if axes:
        gradient = call.sum(gradient, axes)
    return call.op("Squeeze", gradient, range(lead)) if lead else gradient
