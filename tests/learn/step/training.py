"""Training by the graphs of a package beside torch's, from the same start on the same samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import torch

from splitnet.graph import extract_segment, input_specs
from splitnet.learn.onnx_as_torch import TorchGraph, as_torch
from splitnet.learn.step import Subject, TrainingGraphs
from splitnet.onnx_session import OnnxSession
from splitnet.package import Optimiser, state_of
from splitnet.partition.samples import samples_for
from splitnet.partition.whole import WholeModel
from splitnet.tensors import Array, Tensors
from tests.graph.models import loaded


def observed(proto: onnx.ModelProto, folder: Path) -> ir.Model:
    """The model with the shapes of all its tensors on record."""
    model = loaded(proto, folder)
    return WholeModel(model, samples_for(input_specs(model), None, seed=0)).model


@dataclass(frozen=True)
class Batch:
    """Samples of one step, soft targets `[n, classes]` and weights `[n]`."""

    inputs: Tensors
    targets: Array
    weights: Array


def batches(
    model: ir.Model, classes: int, count: int, *, sizes: Sequence[int] = (5, 3), seed: int = 1
) -> list[Batch]:
    """Random ones, of those sizes in turn."""
    rng, made = np.random.default_rng(seed), []
    for step in range(count):
        size = sizes[step % len(sizes)]
        inputs = {
            spec.name: _random(rng, spec.dtype, [n if isinstance(n, int) else size for n in spec.shape])
            for spec in input_specs(model)
        }
        targets = rng.dirichlet(np.full(classes, 0.5), size).astype(np.float32)
        made.append(Batch(inputs, targets, rng.uniform(0.2, 2, size).astype(np.float32)))
    return made


def _random(rng: np.random.Generator, dtype: str, shape: Sequence[int]) -> Array:
    if dtype == "float32":
        return rng.standard_normal(shape).astype(dtype)
    return rng.integers(0, 256 if dtype == "uint8" else 8, shape).astype(dtype)


@dataclass(frozen=True)
class Rates:
    """What the optimisers are run with."""

    rate: float
    momentum: float = 0.9
    proximal: float = 0.3


def initial(subject: Subject, graphs: TrainingGraphs) -> Tensors:
    """The parameters as they are in the model."""
    values = {}
    for entry in graphs.parameters:
        weight = subject.model.graph.initializers[entry.name].const_value
        assert weight is not None
        values[entry.name] = weight.numpy().copy()
    return values


def train_by_graphs(
    subject: Subject, graphs: TrainingGraphs, optimiser: Optimiser, steps: Sequence[Batch], rates: Rates
) -> tuple[list[Tensors], list[float]]:
    """Parameters after each step, and the loss of each."""
    session = OnnxSession(graphs.steps[optimiser], name=optimiser)
    features = OnnxSession(graphs.features, name="features") if graphs.features is not None else None
    values, after, losses = initial(subject, graphs), [], []
    anchors = {f"anchor/{name}": array for name, array in values.items()}
    for entry in state_of(optimiser, graphs.parameters):
        values[entry.name] = np.zeros([int(size) for size in entry.shape], np.float32)
    scalars = {
        "train/learning_rate": np.float32(rates.rate),
        "train/momentum": np.float32(rates.momentum),
        "train/proximal": np.float32(rates.proximal),
    }
    constants: Tensors = {name: np.array(number) for name, number in scalars.items()}
    for step in steps:
        inputs = step.inputs if features is None else features.run(step.inputs)
        fed = {"train/targets": step.targets, "train/weights": step.weights}
        made = session.run({**inputs, **values, **anchors, **constants, **fed})
        values = {name: made[f"next/{name}"] for name in values}
        after.append({entry.name: values[entry.name] for entry in graphs.parameters})
        losses.append(float(made["train/loss"]))
    return after, losses


def as_learner(subject: Subject, names: Sequence[str]) -> tuple[TorchGraph, dict[str, torch.nn.Parameter]]:
    """The scores as a torch function of samples and parameters, and the parameters."""
    inputs = [value.name or "" for value in subject.model.graph.inputs]
    model = extract_segment(subject.model, inputs, [subject.scores]).clone()
    parameters = {}
    for name in names:
        value = model.graph.initializers.pop(name)
        assert value.const_value is not None
        parameters[name] = torch.nn.Parameter(torch.from_numpy(value.const_value.numpy().copy()))
        fed = ir.Value(name=name, type=value.type, shape=value.shape)
        value.replace_all_uses_with(fed)
        model.graph.inputs.append(fed)
    return as_torch(model), parameters


def train_by_torch(
    subject: Subject, names: Sequence[str], optimiser: Optimiser, steps: Sequence[Batch], rates: Rates
) -> tuple[list[Tensors], list[float]]:
    """The same by autograd and torch.optim."""
    graph, parameters = as_learner(subject, names)
    anchors = {name: value.detach().clone() for name, value in parameters.items()}
    chosen: torch.optim.Optimizer = (
        torch.optim.SGD(parameters.values(), lr=rates.rate, momentum=rates.momentum)
        if optimiser == "sgd"
        else torch.optim.Adam(parameters.values(), lr=rates.rate)
    )
    after: list[Tensors] = []
    losses = []
    for step in steps:
        inputs = {name: torch.from_numpy(array) for name, array in step.inputs.items()}
        scores = graph({**inputs, **parameters})[subject.scores]
        loss = _loss(scores, step, probabilities=subject.probabilities)
        apart = sum((value - anchors[name]).square().sum() for name, value in parameters.items())
        chosen.zero_grad()
        whole = loss + rates.proximal / 2 * apart
        whole.backward()  # type: ignore[no-untyped-call]  # torch's own
        chosen.step()
        after.append({name: value.detach().numpy().copy() for name, value in parameters.items()})
        losses.append(float(loss.detach()))
    return after, losses


def _loss(scores: torch.Tensor, step: Batch, *, probabilities: bool) -> torch.Tensor:
    targets, weights = torch.from_numpy(step.targets), torch.from_numpy(step.weights)
    logs = scores.log() if probabilities else torch.log_softmax(scores, dim=1)
    return (weights * -(targets * logs).sum(dim=1)).sum() / weights.sum()


def largest_difference(found: Mapping[str, Array], wanted: Mapping[str, Array]) -> float:
    """Of any parameter, over the largest magnitude of that parameter."""
    assert found.keys() == wanted.keys()
    return max(float(np.abs(found[name] - array).max() / np.abs(array).max()) for name, array in wanted.items())
