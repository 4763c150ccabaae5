"""A stage: one tier's segment with its exit and what it sends on."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splitnet.exits import leaves
from splitnet.runtime.segment import Segment
from splitnet.tensors import Tensors, TensorSpec


@dataclass(frozen=True, slots=True)
class Exit:
    """A head at the segment's end.

    Attributes:
        outputs: the segment's tensor that stands for each of the model's outputs.
        confidence: the segment's tensor `[batch]` that is held against the threshold.
        threshold: the confidence from which a sample leaves.
    """

    outputs: Mapping[str, str]
    confidence: str
    threshold: float

    def answers(self, values: Tensors) -> Tensors:
        """Return this exit's answers under the names of the model's outputs."""
        return {answer: values[tensor] for answer, tensor in self.outputs.items()}


@dataclass(frozen=True, slots=True)
class StageResult:
    """What one run of a stage gave for its whole batch.

    Attributes:
        values: the tensors at hand after the run, by name: what came in and what the segment made.
        leaving: `[batch]`, which samples leave here; None without an exit.
        exit_outputs: the exit's answers for all samples; None without an exit.
        compute_ms: how long the run took, milliseconds.
    """

    values: Tensors
    leaving: NDArray[np.bool_] | None
    exit_outputs: Tensors | None
    compute_ms: float


@dataclass(frozen=True, slots=True)
class Stage:
    """One tier's part of a plan.

    Attributes:
        tier: its name.
        segment: the loaded segment; None where the tier only relays.
        exit: the head at the segment's end, if any.
        incoming: what the stage takes (the wire below, or the model's inputs).
        outgoing: what it sends on (the wire above); empty at the plan's last tier.
        answers: those of the model's outputs that this segment makes for good.
    """

    tier: str
    segment: Segment | None
    exit: Exit | None
    incoming: tuple[TensorSpec, ...]
    outgoing: tuple[TensorSpec, ...]
    answers: tuple[str, ...]

    def run(self, tensors: Tensors) -> StageResult:
        """Run the segment on `incoming` tensors and apply the routing rule."""
        start = time.perf_counter()
        made = self.segment.run(tensors) if self.segment is not None else {}
        compute_ms = (time.perf_counter() - start) * 1e3
        if self.exit is None:
            return StageResult(tensors | made, None, None, compute_ms)
        leaving = leaves(made[self.exit.confidence], self.exit.threshold)
        return StageResult(tensors | made, leaving, self.exit.answers(made), compute_ms)
