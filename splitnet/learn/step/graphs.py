"""The graphs that train an exit on a device: its features, and a step of each optimiser."""

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from splitnet.graph import model_bytes
from splitnet.learn.step.region import region_of
from splitnet.learn.step.step_model import step_model
from splitnet.learn.step.subject import Subject
from splitnet.package import Optimiser, TensorEntry
from splitnet.tensors import TensorSpec

#: The optimisers that a step is written for.
OPTIMISERS: tuple[Optimiser, ...] = ("sgd", "adam")


@dataclass(frozen=True, slots=True)
class TrainingGraphs:
    """How an exit learns; docs/training.md is the specification of the files.

    Attributes:
        classes: how many the exit tells apart.
        inputs: what a step takes of each sample.
        parameters: what learns, float32.
        features: an ONNX file from the model's inputs to `inputs`; None where those are the model's own.
        steps: an ONNX file for each optimiser.
    """

    classes: int
    inputs: tuple[TensorSpec, ...]
    parameters: tuple[TensorEntry, ...]
    features: bytes | None
    steps: Mapping[Optimiser, bytes]


def training_graphs(subject: Subject) -> TrainingGraphs:
    """Return the graphs that train `subject`; its model is not changed.

    Raises:
        ModelError: nothing can learn; an operator on the way has no backward form (node and operator are named);
            the scores are not one float32 a class; or a file would be larger than 2 GiB.
        NotFoundError: the model has no such scores.
    """
    classes = subject.classes
    region = region_of(subject)
    parameters = tuple(_entry(value) for value in region.parameters)
    steps = {
        optimiser: model_bytes(step_model(subject, region.model, parameters, optimiser))
        for optimiser in OPTIMISERS
    }
    features = None if region.features is None else model_bytes(region.features)
    return TrainingGraphs(classes, region.inputs, parameters, features, steps)


def _entry(parameter: ir.Value) -> TensorEntry:
    weight = parameter.const_value
    assert parameter.name is not None
    assert weight is not None
    return TensorEntry(name=parameter.name, dtype="float32", shape=tuple(weight.shape.numpy()))
