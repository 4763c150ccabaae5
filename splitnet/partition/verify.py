"""Verification: the segments, run one after the other, held against the whole model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from splitnet.errors import ModelError
from splitnet.graph import model_bytes
from splitnet.onnx_session import OnnxSession
from splitnet.package import VerificationEntry
from splitnet.partition.analysis import Analysis
from splitnet.partition.segments import BuiltPlan
from splitnet.tensors import Array, Tensors, take_samples
from splitnet.tiers import TIERS

#: Batch sizes that are compared; after the last, every other sample is taken out before each wire as well.
_BATCHES = (1, 3)
#: Samples on which the codecs' effect is measured.
_CODEC_SAMPLES = 256
_CODEC_BATCH = 32
# Relative to outputs that are all zero, any difference is large, but finite.
_TINY = 1e-30
_HUGE = float(np.finfo(np.float64).max)


@dataclass(slots=True)
class _Worst:
    """The largest differences seen so far, and how often the predicted classes agreed."""

    equal: bool = True
    max_abs: float = 0.0
    max_rel: float = 0.0
    samples: int = 0
    classified: int = 0
    agreeing: int = 0

    def add(self, expected: Tensors, actual: Tensors, count: int) -> None:
        """Compare the outputs of `count` samples by name."""
        for name, want in expected.items():
            got = actual[name]
            if want.ndim == 2 and want.shape[0] == count:
                self.classified += count
                self.agreeing += int((want.argmax(axis=1) == got.argmax(axis=1)).sum())
            if not _bit_equal(want, got):
                self.equal = False
                self._widen(want, got)

    def _widen(self, want: Array, got: Array) -> None:
        wide, other = want.astype(np.float64), got.astype(np.float64)
        with np.errstate(invalid="ignore"):
            difference = np.abs(wide - other)
        # Infinity or NaN on one side only differs by more than any number: by the largest that JSON can hold.
        both = (np.isnan(wide) & np.isnan(other)) | (wide == other)
        difference = np.where(both, 0.0, np.where(np.isfinite(difference), difference, _HUGE))
        finite = np.abs(wide[np.isfinite(wide)])
        scale = max(float(finite.max()) if finite.size else 0.0, _TINY)
        largest = float(difference.max())
        self.max_abs = max(self.max_abs, largest)
        self.max_rel = max(self.max_rel, min(largest / scale, _HUGE))

    @property
    def agreement(self) -> float | None:
        """Share of predicted classes that agree; None where no output is of shape [batch, classes]."""
        return self.agreeing / self.classified if self.classified else None


def _bit_equal(want: Array, got: Array) -> bool:
    """Whether two arrays agree in type, shape and every bit; any NaN equals any other."""
    if want.dtype != got.dtype or want.shape != got.shape:
        return False
    if want.dtype.kind != "f":
        return np.array_equal(want, got)
    bits = f"u{want.dtype.itemsize}"
    same = np.ascontiguousarray(want).view(bits) == np.ascontiguousarray(got).view(bits)
    return bool(np.all(same | (np.isnan(want) & np.isnan(got))))


class Verifier:
    """Holds plans against one whole model, loaded once, at basic optimisation."""

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis
        self._whole = OnnxSession(model_bytes(analysis.model), name="the whole model", optimisation="basic")

    def verify(self, plan: BuiltPlan) -> VerificationEntry:
        """Compare at batch 1, 3 and after compaction; with codecs also measure what they change.

        Raises:
            ModelError: without codecs an output is not bit-equal to the whole model's.
        """
        segments = [OnnxSession(s.content, name=s.tier, optimisation="basic") for s in plan.segments]
        worst = _Worst()
        sizes = _BATCHES if self._analysis.batched else (1,)
        for size in sizes:
            self._compare(plan, segments, range(size), worst, compact=False)
        if self._analysis.batched:
            self._compare(plan, segments, range(5), worst, compact=True)
        lossy = any(codec.name != "none" for wire in plan.wires for codec in wire)
        if not lossy and not worst.equal:
            raise ModelError(
                f"the segments differ from the whole model by up to {worst.max_abs:.3g}: this model cannot be cut "
                "here without changing its answers; cut elsewhere with --cut, or use --place all-device"
            )
        if lossy and self._analysis.calibrated and self._analysis.batched:
            for start in range(0, min(_CODEC_SAMPLES, self._analysis.samples.count), _CODEC_BATCH):
                self._compare(plan, segments, range(start, start + _CODEC_BATCH), worst, compact=False)
        return VerificationEntry(
            level="tolerance" if lossy else "bit-equal",
            max_abs=worst.max_abs,
            max_rel=worst.max_rel,
            samples=worst.samples,
            agreement=worst.agreement,
        )

    def _compare(
        self, plan: BuiltPlan, segments: Sequence[OnnxSession], which: range, worst: _Worst, *, compact: bool
    ) -> None:
        """Run whole and segments on the samples `which`; with `compact`, drop every other one at each wire."""
        feeds = self._analysis.samples.take(which)
        kept = np.arange(len(which))
        expected = self._whole.run(feeds)
        values: Tensors = dict(feeds)
        actual: dict[str, tuple[Array, Array]] = {}
        by_tier = dict(zip((s.tier for s in plan.segments), segments, strict=True))
        for index, tier in enumerate(TIERS[: len(plan.wires) + 1]):
            if tier in by_tier:
                made = by_tier[tier].run(values)
                values |= made
                actual |= {name: (kept, array) for name, array in made.items() if name in expected}
            if index < len(plan.wires):
                values = {codec.wire.name: values[codec.wire.name] for codec in plan.wires[index]}
                if compact:
                    half = np.arange(0, kept.size, 2)
                    specs = [codec.wire for codec in plan.wires[index]]
                    values = {spec.name: take_samples(spec, values[spec.name], half) for spec in specs}
                    kept = kept[half]
        worst.samples += len(which)
        self._add(worst, expected, actual)

    def _add(self, worst: _Worst, expected: Tensors, actual: dict[str, tuple[Array, Array]]) -> None:
        """Compare what was made: the model's answers where they are known, and exits on their own samples."""
        groups: dict[int, list[str]] = {}
        for name, (kept, _) in actual.items():
            groups.setdefault(kept.size, []).append(name)
        for names in groups.values():
            kept = actual[names[0]][0]
            specs = {name: self._analysis.specs[name] for name in names}
            want = {name: take_samples(spec, expected[name], kept) for name, spec in specs.items()}
            worst.add(want, {name: actual[name][1] for name in names}, kept.size)
