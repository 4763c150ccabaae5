"""Answer: what a request gets back, and how it is put together from samples that left at different places."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from splitnet.tensors import Array, Tensors

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Answer:
    """The outputs of a request and where each sample was answered.

    Attributes:
        outputs: the model's outputs by name, samples in the order asked.
        exits: the tier that answered, one entry a sample.
        fallbacks: one entry a sample: why a shallower exit than the rule asks for answered, or "".
        timings_ms: compute time at each tier, milliseconds, for the request as a whole.
        version: of the package, the same at every tier that took part; 0 where nobody said.
        ids: one entry a sample, by which the device that asked remembers it; none where it keeps no samples.
        queue_ms: how long the request waited at each tier to be computed, milliseconds.
        is_kept: whether a tier above gave what it had kept of an earlier request, to one sample or more.
    """

    outputs: Tensors
    exits: tuple[str, ...]
    fallbacks: tuple[str, ...]
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    version: int = 0
    ids: tuple[int, ...] = ()
    queue_ms: Mapping[str, float] = field(default_factory=dict)
    is_kept: bool = False

    @property
    def fallback(self) -> bool:
        """Whether any sample was answered by a fallback."""
        return any(self.fallbacks)


@dataclass(slots=True)
class AnswerBuilder:
    """Collects the answers of one request's samples; not thread-safe.

    Attributes:
        samples: how many samples the request has.
        batch_axes: the batch axis of each output (None where it has none).
        version: of the package whose segments answer.
    """

    samples: int
    batch_axes: Mapping[str, int | None]
    version: int = 0
    timings_ms: dict[str, float] = field(default_factory=dict)
    queue_ms: dict[str, float] = field(default_factory=dict)
    is_kept: bool = False
    _placed: int = 0
    _parts: list[tuple[Indices, Tensors]] = field(default_factory=list)
    _exits: list[str] = field(init=False)
    _fallbacks: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self._exits = [""] * self.samples
        self._fallbacks = [""] * self.samples

    @property
    def complete(self) -> bool:
        """Whether every sample has its answer."""
        return self._placed == self.samples

    def place(self, which: Indices, outputs: Tensors, exits: tuple[str, ...], fallbacks: tuple[str, ...]) -> None:
        """Record the answers of the samples `which`; `outputs` hold just these, in this order."""
        self._parts.append((which, outputs))
        self._placed += which.size
        for index, tier, reason in zip(which.tolist(), exits, fallbacks, strict=True):
            self._exits[index] = tier
            self._fallbacks[index] = reason

    def finish(self) -> Answer:
        """Return the whole answer; every sample must have been placed."""
        assert self.complete, "a sample was never answered"
        names = self._parts[0][1].keys()
        outputs = {name: self._merged(name) for name in names}
        return Answer(
            outputs,
            tuple(self._exits),
            tuple(self._fallbacks),
            self.timings_ms,
            self.version,
            queue_ms=self.queue_ms,
            is_kept=self.is_kept,
        )

    def _merged(self, name: str) -> Array:
        first = self._parts[0][1][name]
        axis = self.batch_axes[name]
        if len(self._parts) == 1 or axis is None:
            return first
        shape = list(first.shape)
        shape[axis] = self.samples
        merged = np.empty(shape, dtype=first.dtype)
        slots: list[slice | Indices] = [slice(None)] * len(shape)
        for which, outputs in self._parts:
            slots[axis] = which
            merged[tuple(slots)] = outputs[name]
        return merged
