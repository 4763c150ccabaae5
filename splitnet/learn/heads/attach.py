"""Attaching trained heads to a model: as exits whose outputs stand for all that the model answers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from splitnet.codec.nodes import Nodes
from splitnet.graph.values import look_up, name_of, value_table
from splitnet.learn.heads.ending import Ending
from splitnet.learn.heads.head import Head

# From this opset on ReduceMax takes its axes as an input.
_AXES_ARE_INPUT = 18


@dataclass(frozen=True, slots=True)
class AttachedExit:
    """An exit that was added to a model.

    Attributes:
        outputs: for each of the model's own outputs, the exit's output that stands for it.
        confidence: the exit's largest softmax probability, float32 `[batch]`.
    """

    outputs: dict[str, str]
    confidence: str


def attach(model: ir.Model, ending: Ending, heads: Sequence[Head]) -> tuple[AttachedExit, ...]:
    """Add `heads` to `model`, with what it makes of its class scores made once more of each head's.

    Shapes of what is added are not recorded; the model is to be observed again.

    Args:
        model: as `load_model` returns it; changed in place.
        ending: how it ends.
        heads: in order of depth.
    """
    prefix = _free_prefix(model)
    return tuple(_attach(model, ending, head, f"{prefix}{number}") for number, head in enumerate(heads, start=1))


def _attach(model: ir.Model, ending: Ending, head: Head, prefix: str) -> AttachedExit:
    table = value_table(model)
    source, end = look_up(table, [head.form.tensor.name, ending.logits])
    nodes, opset = Nodes(prefix), model.graph.opset_imports[""]
    logits = head.append(nodes, source, opset=opset)
    likely = _confidence(nodes, logits, opset)
    made = {end: nodes.add("Softmax", [logits], axis=-1) if ending.is_bare else logits}
    _repeat(nodes, model, ending, made)
    outputs = dict(zip(ending.outputs, look_up(table, ending.outputs), strict=True))
    stand_ins = {name: made[value] for name, value in outputs.items()}
    for constant in nodes.constants:
        model.graph.register_initializer(constant)
    model.graph.extend(nodes.made)
    likely.name = f"{prefix}.confidence"
    for name, value in stand_ins.items():
        value.name = f"{prefix}_{name}"
    model.graph.outputs.extend([*stand_ins.values(), likely])
    return AttachedExit({name: name_of(value) for name, value in stand_ins.items()}, name_of(likely))


def _confidence(nodes: Nodes, logits: ir.Value, opset: int) -> ir.Value:
    likely = nodes.add("Softmax", [logits], axis=-1)
    if opset < _AXES_ARE_INPUT:
        return nodes.add("ReduceMax", [likely], axes=[1], keepdims=0)
    return nodes.add("ReduceMax", [likely, nodes.integers(1)], keepdims=0)


def _repeat(nodes: Nodes, model: ir.Model, ending: Ending, made: dict[ir.Value, ir.Value]) -> None:
    """Add copies of the nodes between the logits and the outputs; `made` gives, and gets, what stands for what."""
    above = frozenset(ending.nodes)
    for node in [node for node in model.graph if node.name in above]:
        outputs = [ir.Value(name=f"{nodes.prefix}.{value.name}" if value.name else "") for value in node.outputs]
        copy = ir.Node(
            node.domain,
            node.op_type,
            [None if value is None else made.get(value, value) for value in node.inputs],
            attributes=list(node.attributes.values()),
            overload=node.overload,
            outputs=outputs,
            name=f"{nodes.prefix}.{node.name}",
        )
        nodes.made.append(copy)
        made.update(zip(node.outputs, outputs, strict=True))


def _free_prefix(model: ir.Model) -> str:
    """A prefix that no tensor and no node of the model begins with."""
    taken = [*value_table(model), *(name_of(node) for node in model.graph)]
    prefix = "exit"
    while any(re.match(rf"{prefix}\d", name) for name in taken):
        prefix += "_"
    return prefix
