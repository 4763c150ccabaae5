"""What of a model a step computes: the nodes that parameters reach on their way to an exit's scores."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from splitnet.graph import extract_segment, sendable_specs
from splitnet.graph.dataflow import DataFlow
from splitnet.learn.step.parameters import trainable
from splitnet.learn.step.subject import Subject
from splitnet.tensors import TensorSpec


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a model between frozen tensors and an exit's scores.

    Attributes:
        model: of it alone; parameters are initialisers still.
        inputs: what it takes of each sample.
        parameters: what learns: initialisers of the whole model, by whose names the part has them too.
        features: the frozen part below, from the model's inputs to `inputs`; None where those are the model's own.
    """

    model: ir.Model
    inputs: tuple[TensorSpec, ...]
    parameters: tuple[ir.Value, ...]
    features: ir.Model | None


def region_of(subject: Subject) -> Region:
    """Cut out what the scope of `subject` trains.

    With the scope "exits" it begins where the first parameter acts, so that what lies below is computed once a
    sample; with "segment", or where a tensor there has no batch axis of its own, at the model's inputs.

    Raises:
        ModelError: nothing can learn, or the model's batch is fixed.
        NotFoundError: the model has no such scores.
    """
    flow = DataFlow(subject.model)
    needed = flow.in_order(flow.ancestors(flow.values([subject.scores])))
    parameters = trainable(needed, subject.frozen)
    if not parameters:
        raise subject.refused("no float32 weight of a convolution or matrix product is free to learn")
    specs, own = sendable_specs(subject.model), list(subject.model.graph.inputs)
    begin = _entries(flow, needed, parameters) if subject.scope == "exits" else own
    cut_off = all(value not in own and _counts_samples(specs, value) for value in begin)
    if not cut_off:
        begin = [value for value in own if any(value in flow.reads(node) for node in needed)]
    if shared := [value.name for value in begin if not _counts_samples(specs, value)]:
        raise subject.refused(
            f"it needs the inputs {shared}, which have no batch axis, so that samples share them"
        )
    names = [value.name or "" for value in begin]
    return Region(
        extract_segment(subject.model, names, [subject.scores]),
        tuple(specs[name] for name in names),
        parameters,
        extract_segment(subject.model, [value.name or "" for value in own], names) if cut_off else None,
    )


def _entries(flow: DataFlow, needed: Sequence[ir.Node], parameters: Collection[ir.Value]) -> list[ir.Value]:
    """What the nodes that parameters reach read of the others."""
    reached = set(parameters)
    for node in flow.model.graph:
        if not reached.isdisjoint(node.inputs):
            reached.update(node.outputs)
    read = (value for node in needed if not reached.isdisjoint(node.inputs) for value in flow.reads(node))
    return list(dict.fromkeys(value for value in read if value not in reached))


def _counts_samples(specs: dict[str, TensorSpec], value: ir.Value) -> bool:
    spec = specs.get(value.name or "")
    return spec is not None and spec.batch_axis is not None
