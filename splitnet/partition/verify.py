"""Verification: the segments, run one after the other, held against the whole model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from splitnet.coding import decode, encode
from splitnet.differences import Differences, bit_equal, predicts_classes
from splitnet.errors import ModelError
from splitnet.onnx_session import Optimisation
from splitnet.package import VerificationEntry
from splitnet.partition.analysis import Analysis
from splitnet.partition.runner import ModelRunner
from splitnet.partition.segments import BuiltPlan, SentTensor
from splitnet.tensors import Array, Tensors, take_samples
from splitnet.tiers import TIERS, Tier

#: Batch sizes that are compared; after the last, every other sample is taken out before each wire as well.
_BATCHES = (1, 3)
_COMPACTED = 5
#: Samples on which the effect of codecs and the accuracy are measured, in batches; fewer of a model in pieces.
_SAMPLES = 256
_SAMPLES_IN_PIECES = 32
_BATCH = 32
_BATCH_IN_PIECES = 8


@dataclass(frozen=True, slots=True)
class _Case:
    """One comparison.

    Attributes:
        which: the samples.
        compact: whether every other one is taken out before each wire.
        scored: whether predictions are held against labels.
    """

    which: range
    compact: bool = False
    scored: bool = False


@dataclass(slots=True)
class Flow:
    """A case on its way up through the tiers.

    Attributes:
        values: what is at hand at this height.
        kept: which of the case's samples are left.
        made: the outputs so far, each with the samples that were left when it was made.
    """

    values: Tensors
    kept: NDArray[np.intp]
    made: dict[str, tuple[NDArray[np.intp], Array]] = field(default_factory=dict)

    def take(self, made: Tensors) -> None:
        """Go on with what a segment made."""
        self.values = self.values | made
        self.made |= {name: (self.kept, array) for name, array in made.items()}

    def send(self, wire: Sequence[SentTensor], *, compact: bool) -> None:
        """Go over a wire, through its codings; with `compact` with every other sample alone."""
        half = np.arange(0, self.kept.size, 2 if compact else 1)
        self.values = {
            spec.name: _coded(one, take_samples(spec, self.values[spec.name], half))
            for one in wire
            for spec in one.codec.wires
        }
        self.kept = self.kept[half]


def _coded(sent: SentTensor, array: Array) -> Array:
    """What arrives of `array` after its coding."""
    if sent.coding == "none":
        return array
    content = encode(sent.coding, array)
    return decode(sent.coding, content, dtype=array.dtype.name, shape=array.shape, max_bytes=array.nbytes)


class Verifier:
    """Holds plans against one whole model at basic optimisation.

    A large model runs in pieces, and so do its segments. Pieces of a quantised model run as they are: a cut
    between a DequantizeLinear and the next QuantizeLinear changes answers at basic optimisation already.
    """

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis
        self._piece_bytes = analysis.whole.piece_bytes
        self._in_pieces = self._piece_bytes is not None
        self._optimisation: Optimisation = "none" if self._in_pieces and analysis.quantised else "basic"
        self._whole = self._runner("the whole model", analysis.model)
        self._expected: dict[range, Tensors] = {}

    def _runner(self, name: str, model: ir.Model) -> ModelRunner:
        # Packed and unpacked weights have kernels of their own: all run with the same.
        return ModelRunner(
            model,
            name=name,
            piece_bytes=self._piece_bytes,
            optimisation=self._optimisation,
            prepack=not self._in_pieces,
        )

    def verify(self, plan: BuiltPlan) -> VerificationEntry:
        """Compare at batch 1, 3 and after compaction; on calibration data measure what codecs change as well.

        Raises:
            ModelError: an output is not bit-equal to the whole model's, though nothing that is sent is changed.
        """
        runners = {segment.tier: self._runner(segment.tier, segment.model) for segment in plan.segments}
        found = Differences()
        for cases in self._together(self._structural()):
            self._compare(plan, runners, cases, found)
        if not plan.lossy and not plan.rounds and not found.equal:
            raise ModelError(
                f"the segments differ from the whole model by up to {found.max_abs:.3g}: this model cannot be cut "
                "here without changing its answers; cut elsewhere with --cut, or use --place all-device"
            )
        for cases in self._together(self._measuring()):
            if plan.lossy:
                self._compare(plan, runners, cases, found)
            else:
                self._score_whole(cases, found)
        return VerificationEntry(
            level="tolerance" if plan.lossy or not found.equal else "bit-equal",
            **found.figures(),
        )

    def _structural(self) -> list[_Case]:
        """What every plan is put through."""
        if not self._analysis.batched:
            return [_Case(range(1))]
        cases = [_Case(range(size)) for size in _BATCHES]
        return [*cases, _Case(range(_COMPACTED), compact=True)] if self._samples_are_apart() else cases

    def _samples_are_apart(self) -> bool:
        """Whether the uncut model answers a sample alike whatever else is in its batch.

        One that quantises as it runs takes one scale for all of them: there a compacted batch has no right answer.
        """
        kept = np.arange(0, _COMPACTED, 2)
        every, alone = self._answers([range(_COMPACTED), range(0, _COMPACTED, 2)])
        specs = {name: self._analysis.specs[name] for name in self._analysis.output_names}
        return all(bit_equal(take_samples(spec, every[name], kept), alone[name]) for name, spec in specs.items())

    def _measuring(self) -> list[_Case]:
        """Calibration samples, where there are any."""
        if not (self._analysis.calibrated and self._analysis.batched):
            return []
        most, size = (_SAMPLES_IN_PIECES, _BATCH_IN_PIECES) if self._in_pieces else (_SAMPLES, _BATCH)
        count = min(most, self._analysis.samples.count)
        return [_Case(range(start, min(start + size, count)), scored=True) for start in range(0, count, size)]

    def _together(self, cases: Sequence[_Case]) -> Iterator[Sequence[_Case]]:
        """Pieces are opened once for all cases; what stays open takes one case at a time, in less memory."""
        return iter([cases] if self._in_pieces and cases else [[case] for case in cases])

    def _compare(
        self, plan: BuiltPlan, runners: Mapping[Tier, ModelRunner], cases: Sequence[_Case], found: Differences
    ) -> None:
        """Run whole and segments on `cases`."""
        expected = self._answers([case.which for case in cases])
        flows = [Flow(self._analysis.samples.take(case.which), np.arange(len(case.which))) for case in cases]
        for index, tier in enumerate(TIERS[: len(plan.wires) + 1]):
            if tier in runners:
                for flow, made in zip(flows, runners[tier].run_each([f.values for f in flows]), strict=True):
                    flow.take(made)
            if index < len(plan.wires):
                for flow, case in zip(flows, cases, strict=True):
                    flow.send(plan.wires[index], compact=case.compact)
        for case, want, flow in zip(cases, expected, flows, strict=True):
            found.samples += len(case.which)
            self._add(found, want, flow)
            if case.scored:
                self._score(found, want, {name: array for name, (_, array) in flow.made.items()}, case.which)

    def _answers(self, batches: Sequence[range]) -> list[Tensors]:
        """What the whole model answers to each of `batches`, which it is asked once."""
        missing = [which for which in dict.fromkeys(batches) if which not in self._expected]
        made = self._whole.run_each([self._analysis.samples.take(which) for which in missing])
        self._expected |= dict(zip(missing, made, strict=True))
        return [self._expected[which] for which in batches]

    def _add(self, found: Differences, expected: Tensors, flow: Flow) -> None:
        """Compare what was made: the model's answers where they are known, and exits on their own samples."""
        groups: dict[int, list[str]] = {}
        for name, (kept, _) in flow.made.items():
            if name in expected:
                groups.setdefault(kept.size, []).append(name)
        for names in groups.values():
            kept = flow.made[names[0]][0]
            specs = {name: self._analysis.specs[name] for name in names}
            want = {name: take_samples(spec, expected[name], kept) for name, spec in specs.items()}
            found.add(want, {name: flow.made[name][1] for name in names}, kept.size)

    def _score_whole(self, cases: Sequence[_Case], found: Differences) -> None:
        """Count what the whole model gets right, for segments that answer the same to the bit."""
        if self._analysis.samples.labels is not None:
            for case, answers in zip(cases, self._answers([case.which for case in cases]), strict=True):
                self._score(found, answers, answers, case.which)

    def _score(self, found: Differences, expected: Tensors, actual: Tensors, which: range) -> None:
        """Hold the first of the model's own outputs that predicts classes against the labels."""
        labels = self._analysis.samples.labels
        names = [name for name in self._analysis.output_names if predicts_classes(expected[name], len(which))]
        if labels is not None and names:
            found.score(expected[names[0]], actual[names[0]], labels[which.start : which.stop])
