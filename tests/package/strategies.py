"""Packages to test with: one written by hand, and random ones whose pieces agree."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from splitnet.codec_names import CODECS, CODINGS
from splitnet.package import (
    FORMAT_VERSION,
    Alternative,
    BackupEntry,
    CalibrationEntry,
    ExitEntry,
    FeaturesEntry,
    LinkEntry,
    Manifest,
    ModelEntry,
    PlanEntry,
    SegmentEntry,
    StageEntry,
    StepEntry,
    TensorEntry,
    TrainingEntry,
    VerificationEntry,
    WeightsEntry,
    WireEntry,
    WireTensor,
    state_of,
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
LINKS = st.builds(LinkEntry, bandwidth_bps=st.floats(1, 1e12), rtt_ms=MILLISECONDS)
CALIBRATIONS = st.builds(
    CalibrationEntry,
    epsilon=OPEN_SHARES,
    delta=OPEN_SHARES,
    n=st.integers(1, 10**9),
    method=TEXTS,
    bound=SHARES,
    share=SHARES,
)
VERIFICATIONS = st.sampled_from([("bit-equal", None), ("tolerance", None), ("revised", 1)]).flatmap(
    lambda held: st.builds(
        VerificationEntry,
        level=st.just(held[0]),
        against_version=st.just(held[1]),
        max_abs=MILLISECONDS,
        max_rel=MILLISECONDS,
        samples=st.integers(1, 999),
        agreement=SHARES | st.none(),
        accuracy=SHARES | st.none(),
        accuracy_drop=st.floats(-1, 1) | st.none(),
    )
)


@dataclass(frozen=True)
class Content:
    """A manifest and the files that it names."""

    manifest: Manifest
    files: dict[str, bytes]


def wire_tensor(entry: TensorEntry, **fields: Any) -> WireTensor:
    """`entry` on a wire, with what a WireTensor has besides as `fields`."""
    spec = entry.to_spec()
    derived = {"source": entry.name, "batch_axis": spec.batch_axis, "bytes_per_sample": spec.sample_nbytes}
    return WireTensor.model_validate(entry.model_dump() | derived | fields)


def _tensor(name: str, *shape: int) -> TensorEntry:
    return TensorEntry(name=name, dtype="float32", shape=("batch", *shape))


X, T, Y = _tensor("x", 3), _tensor("t", 4), _tensor("y", 5)
HEAD = (_tensor("early", 5), _tensor("sure"))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def stages(reach: Sequence[float], compute_ms: Sequence[float]) -> tuple[StageEntry, ...]:
    """One a tier from the device up."""
    return tuple(
        StageEntry(tier=tier, reach=share, compute_ms=ms)
        for tier, share, ms in zip(TIERS, reach, compute_ms, strict=False)
    )


def _wires(tensor: WireTensor) -> tuple[WireEntry, WireEntry]:
    """The same tensor over both links: the edge relays."""
    return (
        WireEntry(from_tier="device", to_tier="edge", tensors=(tensor,)),
        WireEntry(from_tier="edge", to_tier="cloud", tensors=(tensor,)),
    )


def _example_plans() -> tuple[PlanEntry, PlanEntry]:
    split = PlanEntry(
        id="0123456789ab",
        segments=("device", "cloud"),
        wires=_wires(wire_tensor(T, coding="zstd", coded_bytes_per_sample=9.5)),
        stages=stages((1.0, 0.5, 0.5), (1.5, 0.0, 1.5)),
        objective="latency",
        value=12.5,
        bound=12.25,
        gap=0.02,
        method="min-cut",
        predicted_ms=12.5,
        measured_ms=13.0,
        energy_mj=3.5,
        bandwidth_from_bps=0.0,
        alternatives=(
            Alternative(
                name="all-cloud",
                predicted_ms=20.0,
                bytes=1000.0,
                energy_mj=9.0,
                accuracy=0.75,
                measured_ms=21.0,
            ),
        ),
        verification=VerificationEntry(
            level="bit-equal",
            max_abs=0.0,
            max_rel=0.0,
            samples=9,
            agreement=1.0,
            accuracy=0.75,
            accuracy_drop=-0.01,
        ),
    )
    whole = split.model_copy(
        update={
            "id": "ba9876543210",
            "segments": ("cloud-2",),
            "wires": _wires(wire_tensor(X)),
            "stages": stages((1.0, 1.0, 1.0), (0.0, 0.0, 3.0)),
            "bandwidth_from_bps": 1e8,
        }
    )
    return split, whole


def _example_training(files: dict[str, bytes], marker: bytes) -> TrainingEntry:
    """How the device's exit learns, from a tensor within its segment; the files are added to `files`."""

    def file(path: str) -> dict[str, Any]:
        files[path] = f"{path}'s own".encode() + marker
        return {"file": path, "sha256": sha256(files[path]), "size_bytes": len(files[path])}

    weights = (
        TensorEntry(name="w", dtype="float32", shape=(4, 5)),
        TensorEntry(name="b", dtype="float32", shape=(5,)),
    )
    return TrainingEntry(
        segment="device",
        scope="exits",
        output="early",
        scores="logits",
        classes=5,
        features=FeaturesEntry(**file("train/features.onnx"), outputs=(_tensor("inner", 4),)),
        inputs=(_tensor("inner", 4),),
        parameters=weights,
        steps=(
            StepEntry(**file("train/sgd.onnx"), optimiser="sgd", state=state_of("sgd", weights)),
            StepEntry(**file("train/adam.onnx"), optimiser="adam", state=state_of("adam", weights)),
        ),
    )


def example(marker: bytes = b"") -> Content:
    """Device and cloud compute with an exit on the device, which learns, or the cloud alone; the edge relays.

    Both of the cloud's segments read the same weights. `marker` ends each file.
    """
    weights = b"the cloud's weights" + marker
    beside = (WeightsEntry(file="segments/weights/w.bin", sha256=sha256(weights), size_bytes=len(weights)),)
    files = {"segments/weights/w.bin": weights}
    parts: tuple[tuple[str, Tier, tuple[TensorEntry, ...], tuple[TensorEntry, ...]], ...] = (
        ("device", "device", (X,), (*HEAD, T)),
        ("cloud", "cloud", (T,), (Y,)),
        ("cloud-2", "cloud", (X,), (Y,)),
    )
    segments = []
    for name, tier, inputs, outputs in parts:
        content = f"{name}'s own".encode() + marker
        files[f"segments/{name}.onnx"] = content
        segments.append(
            SegmentEntry(
                id=name,
                tier=tier,
                file=f"segments/{name}.onnx",
                sha256=sha256(content),
                size_bytes=len(content),
                weights=beside if tier == "cloud" else (),
                inputs=inputs,
                outputs=outputs,
                opset_domains={"": 17},
                param_bytes=128,
                predicted_ms=1.5,
                measured_ms=2.0,
            )
        )
    exit_entry = ExitEntry(
        segment="device",
        outputs={"y": "early"},
        confidence="sure",
        threshold=0.9,
        calibration=CalibrationEntry(epsilon=0.01, delta=0.05, n=500, method="by hand", bound=0.009, share=0.5),
    )
    files["backup/backup.onnx"] = b"the backup" + marker
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        model=ModelEntry(name="example", version=1, sha256="0" * 64, opset=17, inputs=(X,), outputs=(Y,)),
        segments=tuple(segments),
        exits=(exit_entry,),
        plans=_example_plans(),
        links=(LinkEntry(bandwidth_bps=2e7, rtt_ms=10.9), LinkEntry(bandwidth_bps=1e8, rtt_ms=40.9)),
        backup=_backup("backup/backup.onnx", files["backup/backup.onnx"], (X,), (Y,)),
        training=(_example_training(files, marker),),
    )
    return Content(manifest, files)


def _backup(
    path: str, content: bytes, inputs: Sequence[TensorEntry], outputs: Sequence[TensorEntry]
) -> BackupEntry:
    return BackupEntry(
        file=path,
        sha256=sha256(content),
        size_bytes=len(content),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        accuracy=0.5,
    )


@dataclass
class _Drawing:
    """Plans on the way up through their tiers: what has been made, and what is at hand at this height."""

    draw: st.DrawFn
    names: Iterator[str]
    at_hand: list[TensorEntry] = field(default_factory=list)
    outputs: list[TensorEntry] = field(default_factory=list)
    weights: list[WeightsEntry] = field(default_factory=list)
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

    def file(self) -> tuple[str, bytes]:
        """Add a file, whose path has an ending of its own."""
        path, content = f"{self.draw(PATHS)}.{len(self.files)}", self.draw(st.binary(max_size=40))
        self.files[path] = content
        return path, content

    def weigh(self) -> None:
        """Add a file of weights, which any segment may read."""
        path, content = self.file()
        self.weights.append(WeightsEntry(file=path, sha256=sha256(content), size_bytes=len(content)))

    def compute(self, tier: Tier, answers: Sequence[TensorEntry], *, may_exit: bool) -> None:
        name, (path, content) = next(self.names), self.file()
        made = [*answers, *(self.tensor() for _ in range(self.draw(st.integers(0 if answers else 1, 2))))]
        if may_exit and self.draw(st.booleans()):
            made += self.attach(name)
        self.segments.append(
            SegmentEntry(
                id=name,
                tier=tier,
                file=path,
                sha256=sha256(content),
                size_bytes=len(content),
                weights=tuple(entry for entry in self.weights if self.draw(st.booleans())),
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

    def backup(self, inputs: Sequence[TensorEntry]) -> BackupEntry:
        """A backup model that takes one of the inputs at least."""
        path, content = self.file()
        return _backup(path, content, inputs[: self.draw(st.integers(1, len(inputs)))], self.outputs)

    def send(self, lower: Tier, upper: Tier) -> None:
        sent = self.some()
        tensors = tuple(wire_tensor(entry, **self.draw(_ways())) for entry in sent)
        self.wires.append(WireEntry(from_tier=lower, to_tier=upper, tensors=tensors))
        self.at_hand = list(sent)

    def climb(self, inputs: Sequence[TensorEntry]) -> tuple[str, ...]:
        """Make a plan's segments and wires of one to three tiers, and return the segments' ids."""
        self.at_hand, self.wires = list(inputs), []
        before = len(self.segments)
        last = self.draw(st.integers(0, len(TIERS) - 1))
        homes = [self.draw(st.integers(0, last)) for _ in self.outputs]
        for index, tier in enumerate(TIERS[: last + 1]):
            answers = [tensor for tensor, home in zip(self.outputs, homes, strict=True) if home == index]
            computes: bool = bool(answers) or self.draw(st.booleans())
            if computes:
                self.compute(tier, answers, may_exit=index < last)
            if index < last:
                self.send(tier, TIERS[index + 1])
        return tuple(segment.id for segment in self.segments[before:])


@st.composite
def _ways(draw: st.DrawFn) -> dict[str, Any]:
    """How a wire tensor is sent."""
    coding = draw(st.sampled_from(CODINGS))
    coded = draw(MILLISECONDS | st.none()) if coding != "none" else None
    way = {"source": draw(TEXTS), "codec": draw(st.sampled_from(CODECS))}
    return way | {"coding": coding, "coded_bytes_per_sample": coded}


def _plan(drawing: _Drawing, segments: tuple[str, ...], bandwidth_bps: float, index: int) -> PlanEntry:
    draw = drawing.draw
    alternatives = st.builds(
        Alternative,
        name=TEXTS,
        predicted_ms=MILLISECONDS,
        bytes=MILLISECONDS,
        energy_mj=MILLISECONDS | st.none(),
        accuracy=SHARES | st.none(),
    )
    return PlanEntry(
        id=draw(st.from_regex(r"[0-9a-f]{11}", fullmatch=True)) + f"{index:x}",
        segments=segments,
        wires=tuple(drawing.wires),
        stages=stages(
            sorted(
                draw(st.lists(SHARES, min_size=len(drawing.wires) + 1, max_size=len(drawing.wires) + 1)),
                reverse=True,
            ),
            [draw(MILLISECONDS) for _ in range(len(drawing.wires) + 1)],
        ),
        objective=draw(st.sampled_from(["latency", "throughput", "energy", "bytes"])),
        value=draw(MILLISECONDS),
        bound=draw(MILLISECONDS),
        gap=draw(SHARES),
        method=draw(TEXTS),
        predicted_ms=draw(MILLISECONDS),
        measured_ms=draw(MILLISECONDS | st.none()),
        energy_mj=draw(MILLISECONDS | st.none()),
        bandwidth_from_bps=bandwidth_bps,
        alternatives=tuple(draw(st.lists(alternatives, max_size=2))),
        verification=draw(VERIFICATIONS),
    )


@st.composite
def contents(draw: st.DrawFn) -> Content:
    """A package of one to three plans, some of which run the same segments.

    In each, one to three tiers compute or relay, have an exit or none, and send some tensors on.
    """
    drawing = _Drawing(draw, iter(draw(st.lists(TEXTS, min_size=90, max_size=90, unique=True))))
    inputs = tuple(drawing.tensor() for _ in range(draw(st.integers(1, 2))))
    drawing.outputs = [drawing.tensor() for _ in range(draw(st.integers(1, 2)))]
    for _ in range(draw(st.integers(0, 2))):
        drawing.weigh()
    plans: list[PlanEntry] = []
    segments: tuple[str, ...] = ()
    for bandwidth_bps in draw(st.lists(MILLISECONDS, min_size=1, max_size=3, unique=True)):
        if not plans or draw(st.booleans()):
            segments = drawing.climb(inputs)
        plans.append(_plan(drawing, segments, bandwidth_bps, len(plans)))
    model = ModelEntry(
        name=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,20}", fullmatch=True)),
        version=draw(st.integers(1, 2**31)),
        sha256=draw(st.from_regex(r"[0-9a-f]{64}", fullmatch=True)),
        opset=draw(st.integers(1, 30)),
        inputs=inputs,
        outputs=tuple(drawing.outputs),
    )
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        model=model,
        segments=tuple(drawing.segments),
        exits=tuple(drawing.exits),
        plans=tuple(plans),
        links=(draw(LINKS), draw(LINKS)),
        backup=drawing.backup(inputs) if draw(st.booleans()) else None,
    )
    used = {name for segment in drawing.segments for name in (segment.file, *(w.file for w in segment.weights))}
    used |= set() if manifest.backup is None else {manifest.backup.file}
    return Content(manifest, {name: content for name, content in drawing.files.items() if name in used})
