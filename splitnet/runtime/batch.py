"""A batch: the samples of one or several requests on their way through the stages, answered to each its own."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from splitnet.runtime.answer import Answer, Indices
from splitnet.runtime.request import Request
from splitnet.runtime.stage import Stage, StageResult
from splitnet.tensors import Array, Tensors, TensorSpec, take_samples

Outputs = Mapping[str, TensorSpec]


class Batch:
    """Samples of requests, numbered through; those that are still open, with what is known of them.

    Attributes:
        requests: whose samples these are, one behind the other.
        open: `[open]`, the numbers of the samples without an answer, ascending.
        tensors: of the open samples, what the next stage takes.
        carried: of the open samples, what is answered for good whoever answers the rest.
    """

    def __init__(self, requests: Sequence[Request], tensors: Tensors, outputs: Outputs) -> None:
        """Begin with all samples open.

        Args:
            requests: at least one; several only where all tensors have a batch axis.
            tensors: theirs, joined.
            outputs: the model's outputs by name.
        """
        self.requests = tuple(requests)
        self._starts = tuple(accumulate((request.samples for request in requests), initial=0))
        self._outputs = outputs
        self.open: Indices = np.arange(self._starts[-1])
        self.tensors = tensors
        self.carried: Tensors = {}
        self._fallback: tuple[str, Tensors] | None = None

    @classmethod
    def of(cls, requests: Sequence[Request], incoming: Sequence[TensorSpec], outputs: Outputs) -> "Batch":
        """Join the tensors of `requests`, which are as `incoming` says."""
        return cls(requests, _joined(requests, incoming), outputs)

    def waiting(self) -> list[int]:
        """Return which requests have open samples."""
        if len(self.requests) == 1:
            return [0] if self.open.size else []
        return [at for at, (low, high) in enumerate(self._ranges(self.open)) if high > low]

    def only(self, which: Sequence[int], specs: Sequence[TensorSpec]) -> "Batch":
        """Return a batch of the open samples of just the requests `which`.

        Args:
            which: of `requests`, ascending.
            specs: of `tensors`.
        """
        ranges = list(self._ranges(self.open))
        rows = np.concatenate([np.arange(*ranges[at]) for at in which])
        part = Batch(
            [self.requests[at] for at in which],
            {spec.name: take_samples(spec, self.tensors[spec.name], rows) for spec in specs},
            self._outputs,
        )
        moved = zip(which, part._starts[:-1], strict=True)
        part.open = np.concatenate(
            [self.open[slice(*ranges[at])] - self._starts[at] + start for at, start in moved]
        )
        part.carried = self._take(self.carried, rows)
        if self._fallback is not None:
            part._fallback = (self._fallback[0], self._take(self._fallback[1], rows))
        return part

    def advance(self, stage: Stage, result: StageResult) -> None:
        """Answer the samples that leave at `stage`, and keep of the rest what the next stage takes."""
        self._note_time(stage.tier, result.compute_ms)
        self.carried |= {name: result.values[name] for name in stage.answers}
        if not stage.outgoing:
            self._place(self.open, self.carried, stage.tier)
            self.open = self.open[:0]
            return
        self.tensors = {spec.name: result.values[spec.name] for spec in stage.outgoing}
        if result.leaving is None or result.exit_outputs is None:
            return
        exit_outputs = {name: array for name, array in result.exit_outputs.items() if name in self._outputs}
        leaving = np.flatnonzero(result.leaving)
        if leaving.size == self.open.size:
            gone, self.open = self.open, self.open[:0]
            self._place(gone, exit_outputs, stage.tier)
            return
        self._fallback = (stage.tier, exit_outputs)
        if leaving.size:
            gone = self.open[leaving]
            self._keep(stage.outgoing, np.flatnonzero(~result.leaving))
            self._place(gone, self._take(exit_outputs, leaving), stage.tier)

    def answer(self, answer: Answer) -> None:
        """Answer the open samples as the tier above did."""
        for at in self.waiting():
            self.requests[at].builder.timings_ms.update(answer.timings_ms)
            self.requests[at].builder.queue_ms.update(answer.queue_ms)
            self.requests[at].builder.is_kept |= answer.is_kept
        self._spread(self.open, self.carried | dict(answer.outputs), answer.exits, answer.fallbacks)

    def fall_back(self, reason: str) -> str | None:
        """Answer the open samples from the deepest exit in hand; return its tier, None where there is none.

        Args:
            reason: why, a gRPC status name.
        """
        if self._fallback is None:
            return None
        tier, outputs = self._fallback
        self._place(self.open, outputs, tier, reason)
        return tier

    def fail(self, error: BaseException) -> None:
        """End the requests that have open samples with `error`, but for those that an answer has reached."""
        for at in self.waiting():
            if not self.requests[at].promise.done():
                self.requests[at].promise.set_exception(error)

    def _note_time(self, tier: str, compute_ms: float) -> None:
        """Give each request its samples' share of a run: what computing for it cost."""
        if len(self.requests) == 1:
            self.requests[0].builder.timings_ms[tier] = compute_ms
            return
        for request, (low, high) in zip(self.requests, self._ranges(self.open), strict=True):
            if high > low:
                request.builder.timings_ms[tier] = compute_ms * (high - low) / self.open.size

    def _keep(self, specs: Sequence[TensorSpec], staying: NDArray[np.intp]) -> None:
        self.open = self.open[staying]
        self.tensors = {spec.name: take_samples(spec, self.tensors[spec.name], staying) for spec in specs}
        self.carried = self._take(self.carried, staying)
        if self._fallback is not None:
            self._fallback = (self._fallback[0], self._take(self._fallback[1], staying))

    def _take(self, outputs: Tensors, which: NDArray[np.intp]) -> Tensors:
        return {name: take_samples(self._outputs[name], array, which) for name, array in outputs.items()}

    def _place(self, which: Indices, outputs: Tensors, tier: str, reason: str = "") -> None:
        self._spread(which, outputs, (tier,) * which.size, (reason,) * which.size)

    def _spread(
        self, which: Indices, outputs: Tensors, exits: tuple[str, ...], fallbacks: tuple[str, ...]
    ) -> None:
        """Give each request the answers of its own samples among `which`."""
        if len(self.requests) == 1:
            self.requests[0].place(which, outputs, exits, fallbacks)
            return
        for request, start, (low, high) in zip(self.requests, self._starts[:-1], self._ranges(which), strict=True):
            if high > low:
                own = {name: _part(self._outputs[name], array, low, high) for name, array in outputs.items()}
                request.place(which[low:high] - start, own, exits[low:high], fallbacks[low:high])

    def _ranges(self, which: Indices) -> Iterator[tuple[int, int]]:
        """For each request, from where to where in `which` its samples are."""
        return pairwise(np.searchsorted(which, self._starts).tolist())


def _joined(requests: Sequence[Request], specs: Sequence[TensorSpec]) -> Tensors:
    if len(requests) == 1:
        return requests[0].tensors
    return {
        spec.name: np.concatenate([each.tensors[spec.name] for each in requests], axis=spec.batch_axis)
        for spec in specs
    }


def _part(spec: TensorSpec, array: Array, low: int, high: int) -> Array:
    """Copy samples out: whoever keeps an answer must not keep the whole batch's."""
    assert spec.batch_axis is not None, f"{spec.name!r} cannot be divided"
    return array[(slice(None),) * spec.batch_axis + (slice(low, high),)].copy()
