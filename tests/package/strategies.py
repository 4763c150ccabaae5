"""Packages to test with: one written by hand, and random ones whose pieces agree."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hypothesis import strategies as st

from splitnet.package import (
    FORMAT_VERSION,
    Alternative,
    CalibrationEntry,
    ExitEntry,
    Manifest,
    ModelEntry,
    PlanEntry,
    SegmentEntry,
    TensorEntry,
    VerificationEntry,
    WireEntry,
    WireTensor,
)
from splitnet.tensors import BATCH, DTYPES
from splitnet.tiers import TIERS, Tier

#: Text that UTF-8 can carry, at least one character.
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
#: Paths of which none is a folder of another, once each has an ending of its own.
PATHS = st.from_regex(r"([a-z0-9_]{1,8}/){0,2}[a-z0-9_]{1,8}", fullmatch=True)
MILLISECONDS = st.floats(0, 1e6)
SHARES = st.floats(0, 1)
OPEN_SHARES = st.floats(0, 1, exclude_min=True, exclude_max=True)
CODECS: tuple[Literal["none", "f16", "u8"], ...] = ("none", "f16", "u8")
CALIBRATIONS = st.builds(
    CalibrationEntry,
    epsilon=OPEN_SHARES,
    delta=OPEN_SHARES,
    n=st.integers(1, 10**9),
    method=TEXTS,
    bound=SHARES,
    share=SHARES,
)
VERIFICATIONS = st.builds(
    VerificationEntry,
    level=st.sampled_from(["bit-equal", "tolerance"]),
    max_abs=MILLISECONDS,
    max_rel=MILLISECONDS,
    samples=st.integers(1, 999),
    agreement=SHARES,
)


@dataclass(frozen=True)
class Content:
    """A manifest and the files that it names."""

    manifest: Manifest
    files: dict[str, bytes]


def wire_tensor(entry: TensorEntry, codec: Literal["none", "f16", "u8"] = "none") -> WireTensor:
    """`entry` on a wire."""
    spec = entry.to_spec()
    derived = {"batch_axis": spec.batch_axis, "bytes_per_sample": spec.sample_nbytes}
    return WireTensor.model_validate(entry.model_dump() | derived | {"codec": codec})


def _tensor(name: str, *shape: int) -> TensorEntry:
    return TensorEntry(name=name, dtype="float32", shape=("batch", *shape))


def example(marker: bytes = b"") -> Content:
    """Device and cloud compute, the edge relays; the device has an exit. `marker` ends each file."""
    x, t, y = _tensor("x", 3), _tensor("t", 4), _tensor("y", 5)
    head = (_tensor("early", 5), _tensor("sure"))
    files = {"segments/device.onnx": b"device's own" + marker, "segments/cloud.onnx": b"cloud's" + marker}
    parts: tuple[tuple[Tier, tuple[TensorEntry, ...], tuple[TensorEntry, ...]], ...] = (
        ("device", (x,), (*head, t)),
        ("cloud", (t,), (y,)),
    )
    segments = tuple(
        SegmentEntry(
            id=tier,
            tier=tier,
            file=f"segments/{tier}.onnx",
            sha256=hashlib.sha256(files[f"segments/{tier}.onnx"]).hexdigest(),
            size_bytes=len(files[f"segments/{tier}.onnx"]),
            inputs=inputs,
            outputs=outputs,
            opset_domains={"": 17},
            param_bytes=128,
            predicted_ms=1.5,
            measured_ms=2.0,
        )
        for tier, inputs, outputs in parts
    )
    wires = (
        WireEntry(from_tier="device", to_tier="edge", tensors=(wire_tensor(t),)),
        WireEntry(from_tier="edge", to_tier="cloud", tensors=(wire_tensor(t),)),
    )
    exit_entry = ExitEntry(
        segment="device",
        outputs={"y": "early"},
        confidence="sure",
        threshold=0.9,
        calibration=CalibrationEntry(epsilon=0.01, delta=0.05, n=500, method="by hand", bound=0.009, share=0.5),
    )
    plan = PlanEntry(
        id="0123456789ab",
        segments=("device", "cloud"),
        wires=wires,
        objective="latency",
        value=12.5,
        bound=12.5,
        alternatives=(Alternative(name="all-cloud", predicted_ms=20.0, bytes=1000.0),),
    )
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        model=ModelEntry(name="example", version=1, sha256="0" * 64, opset=17, inputs=(x,), outputs=(y,)),
        segments=segments,
        exits=(exit_entry,),
        plans=(plan,),
        verification=VerificationEntry(level="bit-equal", max_abs=0.0, max_rel=0.0, samples=9, agreement=1.0),
    )
    return Content(manifest, files)


@dataclass
class _Drawing:
    """A package on the way up through its tiers: what has been made, and what is at hand at this height."""

    draw: st.DrawFn
    names: Iterator[str]
    at_hand: list[TensorEntry] = field(default_factory=list)
    outputs: list[TensorEntry] = field(default_factory=list)
    segments: list[SegmentEntry] = field(default_factory=list)
    wires: list[WireEntry] = field(default_factory=list)
    exits: list[ExitEntry] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def tensor(self) -> TensorEntry:
        shape: list[int | str] = list(self.draw(st.lists(st.integers(0, 2**10), max_size=2)))
        shape.insert(self.draw(st.integers(0, len(shape))), BATCH)
        return self.named(self.draw(st.sampled_from(DTYPES)), tuple(shape))

    def named(self, dtype: str, shape: tuple[int | str, ...]) -> TensorEntry:
        return TensorEntry.model_validate({"name": next(self.names), "dtype": dtype, "shape": shape})

    def some(self) -> tuple[TensorEntry, ...]:
        chosen = self.draw(st.lists(st.sampled_from(range(len(self.at_hand))), min_size=1, unique=True))
        return tuple(self.at_hand[index] for index in chosen)

    def compute(self, tier: Tier, answers: Sequence[TensorEntry], *, may_exit: bool) -> None:
        name, path = next(self.names), f"{self.draw(PATHS)}.{tier}"
        made = [*answers, *(self.tensor() for _ in range(self.draw(st.integers(0 if answers else 1, 2))))]
        if may_exit and self.draw(st.booleans()):
            made += self.attach(name)
        content = self.draw(st.binary(max_size=40))
        self.files[path] = content
        self.segments.append(
            SegmentEntry(
                id=name,
                tier=tier,
                file=path,
                sha256=hashlib.sha256(content).hexdigest(),
                size_bytes=len(content),
                inputs=self.some(),
                outputs=tuple(made),
                opset_domains=self.draw(st.dictionaries(TEXTS, st.integers(1, 99), max_size=2)),
                param_bytes=self.draw(st.integers(0, 2**53)),
                predicted_ms=self.draw(MILLISECONDS),
                measured_ms=self.draw(MILLISECONDS),
            )
        )
        self.at_hand += made

    def attach(self, segment: str) -> list[TensorEntry]:
        """Add an exit to `segment` and return the tensors that it makes for it."""
        heads = {answer.name: self.named(answer.dtype, answer.shape) for answer in self.outputs}
        confidence = self.named(self.draw(st.sampled_from(["float16", "float32"])), (BATCH,))
        self.exits.append(
            ExitEntry(
                segment=segment,
                outputs={answer: head.name for answer, head in heads.items()},
                confidence=confidence.name,
                threshold=self.draw(st.floats(allow_nan=False, allow_infinity=False)),
                calibration=self.draw(st.none() | CALIBRATIONS),
            )
        )
        return [*heads.values(), confidence]

    def send(self, lower: Tier, upper: Tier) -> None:
        sent = self.some()
        tensors = tuple(wire_tensor(entry, self.draw(st.sampled_from(CODECS))) for entry in sent)
        self.wires.append(WireEntry(from_tier=lower, to_tier=upper, tensors=tensors))
        self.at_hand = list(sent)


@st.composite
def contents(draw: st.DrawFn) -> Content:
    """A package of one to three tiers: each computes or relays, has an exit or none, and sends some tensors on."""
    drawing = _Drawing(draw, iter(draw(st.lists(TEXTS, min_size=40, max_size=40, unique=True))))
    inputs = tuple(drawing.tensor() for _ in range(draw(st.integers(1, 2))))
    drawing.at_hand = list(inputs)
    last = draw(st.integers(0, len(TIERS) - 1))
    homes = draw(st.lists(st.integers(0, last), min_size=1, max_size=2))
    drawing.outputs = [drawing.tensor() for _ in homes]
    for index, tier in enumerate(TIERS[: last + 1]):
        answers = [tensor for tensor, home in zip(drawing.outputs, homes, strict=True) if home == index]
        computes: bool = bool(answers) or draw(st.booleans())
        if computes:
            drawing.compute(tier, answers, may_exit=index < last)
        if index < last:
            drawing.send(tier, TIERS[index + 1])
    model = ModelEntry(
        name=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,20}", fullmatch=True)),
        version=draw(st.integers(1, 2**31)),
        sha256=draw(st.from_regex(r"[0-9a-f]{64}", fullmatch=True)),
        opset=draw(st.integers(1, 30)),
        inputs=inputs,
        outputs=tuple(drawing.outputs),
    )
    plan = PlanEntry(
        id=draw(st.from_regex(r"[0-9a-f]{12}", fullmatch=True)),
        segments=tuple(segment.id for segment in drawing.segments),
        wires=tuple(drawing.wires),
        objective="latency",
        value=draw(MILLISECONDS),
        bound=draw(MILLISECONDS),
        alternatives=tuple(
            draw(st.lists(st.builds(Alternative, name=TEXTS, predicted_ms=MILLISECONDS, bytes=MILLISECONDS)))
        ),
    )
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        model=model,
        segments=tuple(drawing.segments),
        exits=tuple(drawing.exits),
        plans=(plan,),
        verification=draw(VERIFICATIONS),
    )
    return Content(manifest, drawing.files)
