"""Nodes for a graph, added one at a time: each gets its name, its constants become initialisers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir

from splitnet.tensors import Array


@dataclass(slots=True)
class Nodes:
    """Collects nodes, not yet in a graph, and the constants that they use.

    Attributes:
        prefix: what the names of nodes, values and constants begin with.
        made: the nodes, in order of execution.
        constants: the constants, in order of first use.
    """

    prefix: str
    made: list[ir.Node] = field(default_factory=list)
    constants: list[ir.Value] = field(default_factory=list)

    def add(self, operator: str, inputs: Sequence[ir.Value | None], **attributes: Any) -> ir.Value:  # noqa: ANN401
        """Add a node with one output and return that."""
        return self._add(operator, inputs, attributes, ["out"])[0]

    def add_pair(
        self,
        operator: str,
        inputs: Sequence[ir.Value | None],
        **attributes: Any,  # noqa: ANN401
    ) -> tuple[ir.Value, ir.Value]:
        """Add a node with two outputs and return those."""
        first, second = self._add(operator, inputs, attributes, ["first", "second"])
        return first, second

    def constant(self, array: Array) -> ir.Value:
        """Return a constant; asked for again with the same content, the same one."""
        for value in self.constants:
            known = value.const_value
            assert known is not None
            if known.numpy().dtype == array.dtype and np.array_equal(known.numpy(), array):
                return value
        tensor = ir.tensor(array, name=f"{self.prefix}.constant{len(self.constants)}")
        value = ir.Value(
            name=tensor.name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape)
        )
        self.constants.append(value)
        return value

    def integers(self, *numbers: int) -> ir.Value:
        """Return a constant of type int64 `[len(numbers)]`: sizes, axes, counts."""
        return self.constant(np.array(numbers, np.int64))

    def _add(
        self,
        operator: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any],
        outputs: Sequence[str],
    ) -> Sequence[ir.Value]:
        name = f"{self.prefix}.{len(self.made)}"
        made = [ir.Value(name=f"{name}.{output}") for output in outputs]
        self.made.append(ir.node(operator, inputs, attributes, outputs=made, name=name))
        return made
