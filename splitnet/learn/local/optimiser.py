"""The optimiser on the device: runs the package's step graph, and holds parameters and state between steps."""

import numpy as np

from splitnet.errors import PackageError
from splitnet.learn.local.examples import Examples
from splitnet.learn.local.refusals import not_finite
from splitnet.learn.settings import LocalSettings
from splitnet.learn.vector import Vector, flatten, unflatten
from splitnet.onnx_session import OnnxSession
from splitnet.package import Package, StepEntry, TrainingEntry
from splitnet.tensors import Array, Tensors

# Samples are scored so many at a time.
_AT_A_TIME = 256


class StepGraph:
    """The step of one optimiser, as the package has it (docs/training.md)."""

    def __init__(self, package: Package, training: TrainingEntry, settings: LocalSettings) -> None:
        """Load the step.

        Raises:
            PackageError: the package has no step of that optimiser, or is damaged.
            ModelError: onnxruntime refuses the step.
        """
        step = training.step(settings.optimiser)
        if step is None:
            raise PackageError(
                f"{package.path}: no step of {settings.optimiser!r}, "
                f"only of {[each.optimiser for each in training.steps]}; train with one of those"
            )
        self.entry: StepEntry = step
        self.training = training
        self._session = OnnxSession(package.read_file(step), name=step.file)
        self._settings = settings

    def run(self, batch: Examples, tensors: Tensors, *, learning_rate: float) -> Tensors:
        """Return what one step makes of parameters, anchors and state in `tensors` on a batch."""
        rates = {
            "train/learning_rate": learning_rate,
            "train/proximal": self._settings.proximal,
            "train/momentum": self._settings.momentum,
        }
        fixed = {name: np.array(value, np.float32) for name, value in rates.items()}
        weights = np.ones(len(batch), np.float32)
        given = batch.inputs | {"train/targets": batch.targets, "train/weights": weights}
        return self._session.run(tensors | given | fixed)

    def scores(self, vector: Vector, examples: Examples) -> Array:
        """Return the exit's class scores `[n, classes]` float32 with the parameters `vector`."""
        parameters = unflatten(self.training.parameters, vector)
        tensors = parameters | anchors(parameters) | zeros(self.entry)
        parts = []
        for start in range(0, len(examples), _AT_A_TIME):
            batch = examples.take(np.arange(start, min(start + _AT_A_TIME, len(examples))))
            parts.append(self.run(batch, tensors, learning_rate=0.0)["train/scores"])
        return np.concatenate(parts)


class Training:
    """Parameters on their way through steps.

    Attributes:
        state: the optimiser's, by name.
    """

    def __init__(self, graph: StepGraph, start: Vector, state: Tensors) -> None:
        self._graph = graph
        self._parameters = unflatten(graph.training.parameters, start)
        self._anchors = anchors(self._parameters)
        self.state = state

    def step(self, batch: Examples, *, learning_rate: float) -> None:
        """Take one step.

        Raises:
            RefusalError: the loss is NaN or infinite.
        """
        made = self._graph.run(batch, self._parameters | self._anchors | self.state, learning_rate=learning_rate)
        if not np.isfinite(made["train/loss"]):
            raise not_finite(f"training: the loss is {float(made['train/loss'])}; lower learning_rate")
        self._parameters = {name: made[f"next/{name}"] for name in self._parameters}
        self.state = {name: made[f"next/{name}"] for name in self.state}

    @property
    def vector(self) -> Vector:
        """The parameters as they are now."""
        return flatten(self._graph.training.parameters, self._parameters)


def anchors(parameters: Tensors) -> Tensors:
    """Return the round's global values under the names by which a step holds on to them."""
    return {f"anchor/{name}": value for name, value in parameters.items()}


def zeros(step: StepEntry) -> Tensors:
    """Return the state before the first step."""
    shapes = {entry.name: [size for size in entry.shape if isinstance(size, int)] for entry in step.state}
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
