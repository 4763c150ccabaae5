"""What a package says of training on the device: which parameters learn, and the graphs that make them learn."""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from splitnet.config import Frozen
from splitnet.package.entries import FileEntry, Name, Sha256, TensorEntry

#: The optimisers that steps are written for.
Optimiser = Literal["sgd", "adam"]

#: What each keeps of every parameter, in its shape.
_KEPT: dict[Optimiser, tuple[str, ...]] = {"sgd": ("momentum",), "adam": ("first", "second")}


def state_of(optimiser: Optimiser, parameters: Sequence[TensorEntry]) -> tuple[TensorEntry, ...]:
    """Return what `optimiser` keeps between steps: `state/KIND/PARAMETER`, and Adam's `state/count` of steps."""
    kept = [
        TensorEntry(name=f"state/{kind}/{entry.name}", dtype=entry.dtype, shape=entry.shape)
        for kind in _KEPT[optimiser]
        for entry in parameters
    ]
    if optimiser == "adam":
        kept.append(TensorEntry(name="state/count", dtype="float32", shape=()))
    return tuple(kept)


class FeaturesEntry(FileEntry):
    """The frozen part below what learns: an ONNX file from the segment's inputs to what the steps take."""

    outputs: tuple[TensorEntry, ...] = Field(min_length=1)


class StepEntry(FileEntry):
    """One step of an optimiser as an ONNX file; its inputs and outputs are fixed by docs/training.md.

    Attributes:
        optimiser: whose step.
        state: what the optimiser keeps between steps beside the parameters (`state_of`); zeros before the first.
    """

    optimiser: Optimiser
    state: tuple[TensorEntry, ...]


class HeldOutEntry(Frozen):
    """The samples of a calibration file that did not train the model's exits; a threshold may be chosen on them.

    Attributes:
        sha256: of the file.
        samples: how many they are; `splitnet.learn.heads.divide` finds them again.
        seed: of the division.
    """

    sha256: Sha256
    samples: Annotated[int, Field(ge=1)]
    seed: int


class TrainingEntry(Frozen):
    """How one segment of the default plan learns on its device.

    Attributes:
        segment: its id; a device's.
        scope: "exits": only what leads to the exit alone learns; "segment": all that the exit's scores need.
        output: the exit's class scores `[batch, classes]` float32, an output of the segment.
        scores: what those are.
        classes: how many.
        features: the frozen part; None where steps take the segment's own inputs.
        inputs: what a step takes of each sample.
        parameters: what learns, in the order in which it travels; named as the initialisers of the segment's file.
        steps: at most one of each optimiser.
        held_out: where the exits were trained when the model was cut, which samples were kept from that.
    """

    segment: Name
    scope: Literal["exits", "segment"]
    output: Name
    scores: Literal["logits", "probabilities"]
    classes: Annotated[int, Field(ge=2, le=2**31)]
    features: FeaturesEntry | None = None
    inputs: tuple[TensorEntry, ...] = Field(min_length=1)
    parameters: tuple[TensorEntry, ...] = Field(min_length=1)
    steps: tuple[StepEntry, ...] = Field(min_length=1)
    held_out: HeldOutEntry | None = None

    @property
    def files(self) -> Iterator[FileEntry]:
        """The files of the training."""
        if self.features is not None:
            yield self.features
        yield from self.steps

    @property
    def parameter_count(self) -> int:
        """How many numbers learn."""
        return sum(math.prod(size for size in entry.shape if isinstance(size, int)) for entry in self.parameters)

    def step(self, optimiser: Optimiser) -> StepEntry | None:
        """The step of `optimiser`, if there is one."""
        return next((step for step in self.steps if step.optimiser == optimiser), None)
