"""One step of an optimiser as a graph: parameters, state and samples in, parameters, state and loss out."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import onnx_ir as ir

from splitnet.codec.nodes import Nodes
from splitnet.learn.gradient import pull_back
from splitnet.learn.step.loss import cross_entropy
from splitnet.learn.step.optimisers import SCALARS, UPDATES, Update
from splitnet.learn.step.subject import Subject
from splitnet.package import Optimiser, TensorEntry, state_of
from splitnet.tensors import BATCH

_TARGETS, _WEIGHTS, _PROXIMAL, _RATE = "train/targets", "train/weights", "train/proximal", "train/learning_rate"
_LOSS, _SCORES = "train/loss", "train/scores"

#: Shapes of tensors by name.
Shapes: TypeAlias = Mapping[str, Sequence[int | str]]


def step_model(
    subject: Subject, region: ir.Model, parameters: Sequence[TensorEntry], optimiser: Optimiser
) -> ir.Model:
    """Return the graph of a step (docs/training.md names its inputs and outputs).

    Args:
        subject: whose scores it is about.
        region: the part of the model that computes them, which is not changed.
        parameters: initialisers of `region` that learn.
        optimiser: whose step.

    Raises:
        ModelError: an operator has no backward form, or the model uses a name that the step needs.
    """
    model = region.clone()
    graph = model.graph
    scores = graph.outputs[0]
    inputs = _inputs(subject, graph, parameters, optimiser)
    nodes = Nodes("train/loss")
    loss = cross_entropy(nodes, scores, inputs[_TARGETS], inputs[_WEIGHTS], probabilities=subject.probabilities)
    outputs = {_LOSS: loss.value, _SCORES: nodes.add("Identity", [scores])}
    _extend(graph, nodes)
    learning = [inputs[entry.name] for entry in parameters]
    gradients = pull_back(graph, {loss.at: loss.gradient}, learning, prefix="train/gradient")
    nodes = Nodes("train/update")
    update = Update(nodes, learning, _held_back(nodes, learning, gradients, inputs), inputs)
    outputs |= {f"next/{name}": value for name, value in UPDATES[optimiser](update).items()}
    _extend(graph, nodes)
    entries = [*parameters, *state_of(optimiser, parameters)]
    shapes: Shapes = {f"next/{entry.name}": entry.shape for entry in entries}
    _answer(graph, outputs, {**shapes, _LOSS: (), _SCORES: (BATCH, subject.classes)})
    return model


def _inputs(
    subject: Subject, graph: ir.Graph, parameters: Sequence[TensorEntry], optimiser: Optimiser
) -> dict[str, ir.Value]:
    """Make inputs of the parameters, add the step's own, and return both by name."""
    taken = set(ir.convenience.create_value_mapping(graph))
    made = {}
    for entry in parameters:
        initialiser = graph.initializers.pop(entry.name)
        made[entry.name] = _float(entry.name, entry.shape)
        initialiser.replace_all_uses_with(made[entry.name])
    shapes: Shapes = {entry.name: entry.shape for entry in state_of(optimiser, parameters)}
    anchors: Shapes = {f"anchor/{entry.name}": entry.shape for entry in parameters}
    scalars: Shapes = dict.fromkeys((_RATE, _PROXIMAL, *SCALARS[optimiser]), ())
    shapes = {**shapes, **anchors, _TARGETS: (BATCH, subject.classes), _WEIGHTS: (BATCH,), **scalars}
    if clash := sorted(taken.intersection(shapes)):
        raise subject.refused(f"the model has tensors of names that training uses: {clash}; rename them")
    made |= {name: _float(name, shape) for name, shape in shapes.items()}
    graph.inputs.extend(made.values())
    return made


def _float(name: str, shape: Sequence[int | str]) -> ir.Value:
    return ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(shape))


def _held_back(
    nodes: Nodes, parameters: Sequence[ir.Value], gradients: Sequence[ir.Value], inputs: Mapping[str, ir.Value]
) -> list[ir.Value]:
    """Add the gradient of FedProx's term, m / 2 |p - anchor|^2 (Li et al. 2020)."""
    held = []
    for parameter, gradient in zip(parameters, gradients, strict=True):
        away = nodes.add("Sub", [parameter, inputs[f"anchor/{parameter.name}"]])
        held.append(nodes.add("Add", [gradient, nodes.add("Mul", [away, inputs[_PROXIMAL]])]))
    return held


def _extend(graph: ir.Graph, nodes: Nodes) -> None:
    for constant in nodes.constants:
        graph.register_initializer(constant)
    graph.extend(nodes.made)


def _answer(graph: ir.Graph, outputs: Mapping[str, ir.Value], shapes: Shapes) -> None:
    """Make `outputs`, all of them results of nodes of the step, those of the graph, under their names."""
    graph.outputs.clear()
    for name, value in outputs.items():
        value.name = name
        value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(shapes[name])
        graph.outputs.append(value)
