"""One call of an operator: its inputs, attributes and opset, and how an operator refuses what it cannot do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from torch import Tensor

from splitnet.errors import ModelError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """What an operator is called with.

    Attributes:
        node: name of the node, for errors.
        operator: the operator's name.
        inputs: None where an optional input is left out.
        attributes: by name, as Python values; tensors among them as torch tensors.
        opset: version of ONNX's operators.
        outputs: how many outputs are asked for.
    """

    node: str
    operator: str
    inputs: tuple[Tensor | None, ...]
    attributes: Mapping[str, Any]
    opset: int
    outputs: int

    @property
    def x(self) -> Tensor:
        """The first input."""
        return self.required(0)

    def required(self, index: int) -> Tensor:
        """Return an input that the operator cannot do without."""
        found = self.given(index)
        if found is None:
            raise self.refused(f"input {index} is missing")
        return found

    def given(self, index: int) -> Tensor | None:
        """Return an input, or None where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def integers(self, index: int) -> list[int] | None:
        """Return an input that holds sizes, axes or indices, or None where it is left out."""
        found = self.given(index)
        return None if found is None else [int(number) for number in found.reshape(-1).tolist()]

    def attribute(self, name: str, default: T) -> T:
        """Return an attribute, or `default`."""
        found: T = self.attributes.get(name, default)
        return found

    def axes(self, index: int) -> list[int] | None:
        """Return axes, which later opsets take as input `index` and earlier ones as an attribute."""
        found = self.integers(index)
        return found if found is not None else self.attribute("axes", None)

    def require(self, holds: bool, otherwise: str) -> None:  # noqa: FBT001
        """Refuse with the reason `otherwise`, unless the condition holds."""
        if not holds:
            raise self.refused(otherwise)

    def refused(self, reason: str) -> ModelError:
        """Return the error for what is not implemented."""
        return ModelError(f"node {self.node!r} ({self.operator}): {reason}; it has no differentiable form here")


#: Computes an operator's output, or outputs.
Operator: TypeAlias = Callable[[Call], Tensor | tuple[Tensor, ...]]

#: Operators by their names in ONNX.
Table: TypeAlias = Mapping[str, Operator]


def elementwise(function: Callable[[Tensor], Tensor]) -> Operator:
    """Return the operator that is `function` of its one input."""
    return lambda call: function(call.x)


def pairwise(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    """Return the operator that is `function` of its two inputs, broadcast."""
    return lambda call: function(call.x, call.required(1))
