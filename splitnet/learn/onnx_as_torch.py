"""An ONNX graph as a differentiable torch function, its weights frozen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

from splitnet.errors import InvalidArgumentError, ModelError
from splitnet.learn.operators import OPERATORS, Call

# What torch raises where an operator's inputs do not fit together.
_TORCH_ERRORS = (RuntimeError, ValueError, IndexError, TypeError)


def as_torch(model: ir.Model) -> "TorchGraph":
    """Return `model` as a torch function: gradients flow to its inputs, and its weights stay as they are.

    Args:
        model: of ONNX's own operators, opset 13 or later, with topologically ordered nodes and no subgraphs
            (`splitnet.graph.load_model` and `extract_segment` return such models).

    Raises:
        ModelError: an operator has no implementation, or a weight has a type that torch lacks; operator and
            node are named.
    """
    return TorchGraph(model)


@dataclass(frozen=True, slots=True)
class _Step:
    """A node as it is run.

    Attributes:
        node: its name.
        operator: its operator.
        inputs: names of values; empty where an optional one is left out.
        outputs: names of values, likewise.
        attributes: of the node.
        done_with: values that nothing reads after this step.
    """

    node: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    done_with: tuple[str, ...]


class TorchGraph(nn.Module):
    """A graph that is run node by node; weights are buffers, so that `to` moves and converts them."""

    def __init__(self, model: ir.Model) -> None:
        """See `as_torch`."""
        super().__init__()
        self.inputs = tuple(value.name or "" for value in model.graph.inputs)
        self.outputs = tuple(value.name or "" for value in model.graph.outputs)
        self._opset = model.graph.opset_imports.get("", 0)
        self._constants: dict[str, str] = {}
        for index, (name, value) in enumerate(model.graph.initializers.items()):
            assert value.const_value is not None, name
            # A buffer's name must hold no dots.
            self._constants[name] = f"constant_{index}"
            self.register_buffer(self._constants[name], _tensor(value.const_value, name))
        self._steps = _steps(model, keep={*self.outputs, *self._constants})

    def forward(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the outputs by name, computed from the inputs by name; further tensors are ignored.

        Raises:
            InvalidArgumentError: an input is missing.
            ModelError: an operator is used in a way that is not implemented, or its inputs do not fit.
        """
        if missing := [name for name in self.inputs if name not in tensors]:
            raise InvalidArgumentError(f"missing tensors {missing}; the graph takes {list(self.inputs)}")
        values = {name: self.get_buffer(buffer) for name, buffer in self._constants.items()}
        values |= {name: tensors[name] for name in self.inputs}
        for step in self._steps:
            values.update(zip(step.outputs, self._run(step, values), strict=False))
            for name in step.done_with:
                values.pop(name, None)
        return {name: values[name] for name in self.outputs}

    def _run(self, step: _Step, values: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        inputs = tuple(values[name] if name else None for name in step.inputs)
        wanted = sum(bool(name) for name in step.outputs)
        call = Call(step.node, step.operator, inputs, step.attributes, self._opset, wanted)
        try:
            made = OPERATORS[step.operator](call)
        except _TORCH_ERRORS as err:
            raise ModelError(f"node {step.node!r} ({step.operator}): torch failed: {err}") from err
        return made if isinstance(made, tuple) else (made,)


def _steps(model: ir.Model, keep: set[str]) -> list[_Step]:
    last_read: dict[str, int] = {}
    nodes = list(model.graph)
    for index, node in enumerate(nodes):
        last_read |= {value.name or "": index for value in (*node.inputs, *node.outputs) if value is not None}
    freed: list[list[str]] = [[] for _ in nodes]
    for name, index in last_read.items():
        if name and name not in keep:
            freed[index].append(name)
    return [_step(node, freed[index]) for index, node in enumerate(nodes)]


def _step(node: ir.Node, done_with: list[str]) -> _Step:
    name = node.name or ""
    if node.domain or node.op_type not in OPERATORS:
        operator = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
        raise ModelError(f"node {name!r}: operator {operator} has no differentiable form here")
    return _Step(
        name,
        node.op_type,
        tuple("" if value is None else value.name or "" for value in node.inputs),
        tuple(value.name or "" for value in node.outputs),
        {key: _attribute(found, name) for key, found in node.attributes.items()},
        tuple(done_with),
    )


def _attribute(attribute: ir.Attr, node: str) -> Any:  # noqa: ANN401  (what the attribute holds)
    value = attribute.value
    return _tensor(value, node) if attribute.type == ir.AttributeType.TENSOR else value


def _tensor(tensor: ir.TensorProtocol, name: str) -> Tensor:
    try:
        # A copy: weights may be mapped from a file that nobody may write to.
        return torch.from_numpy(np.array(tensor.numpy()))
    except TypeError as err:
        raise ModelError(f"constant {name!r} of type {tensor.dtype} has no counterpart in torch: {err}") from err
