"""The manifest: what a package holds, as validated, immutable data (docs/package.md is its specification)."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from splitnet.codec_names import CodecName, CodingName
from splitnet.config import Frozen
from splitnet.package.entries import Count, FileEntry, Name, NotNegative, Sha256, Share, TensorEntry
from splitnet.package.training import TrainingEntry
from splitnet.tensors import TensorSpec
from splitnet.tiers import Tier

FORMAT_VERSION: Literal[3] = 3

#: How many plans a package may hold: each is one more way to run the same model.
MAX_PLANS = 16

#: What a model may be called, as a regular expression, and the highest version of one.
MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,127}$"
MAX_VERSION = 2**31

Version = Annotated[int, Field(ge=1, le=MAX_VERSION)]


class WireTensor(TensorEntry):
    """A boundary tensor as it is sent: after its codec, whose nodes are in the segments, and before its coding.

    Attributes:
        source: the boundary tensor that it carries; a codec may make several wire tensors of one.
        codec: how it was made of its source.
        coding: how its bytes are coded on the link, outside the segments.
        batch_axis: index of "batch" in the shape.
        bytes_per_sample: before the coding.
        coded_bytes_per_sample: after it, the mean as measured; None without a coding.
    """

    source: Name
    codec: CodecName = "none"
    coding: CodingName = "none"
    batch_axis: int | None
    bytes_per_sample: Count
    coded_bytes_per_sample: NotNegative | None = None

    @model_validator(mode="after")
    def _derived_fields_agree(self) -> Self:
        spec = self.to_spec()
        if self.batch_axis != spec.batch_axis:
            raise ValueError(f"batch_axis {self.batch_axis} contradicts shape {list(self.shape)}")
        if self.bytes_per_sample != spec.sample_nbytes:
            raise ValueError(f"bytes_per_sample {self.bytes_per_sample} is not {spec.sample_nbytes}")
        if self.coding == "none" and self.coded_bytes_per_sample is not None:
            raise ValueError("coded_bytes_per_sample stands without a coding")
        return self


class ModelEntry(Frozen):
    """The whole model that the segments were cut from."""

    name: Annotated[str, Field(pattern=MODEL_NAME)]
    version: Version
    sha256: Sha256
    opset: Annotated[int, Field(ge=1)]
    inputs: tuple[TensorEntry, ...] = Field(min_length=1)
    outputs: tuple[TensorEntry, ...] = Field(min_length=1)


class WeightsEntry(FileEntry):
    """ONNX external data that segments read: one tensor, stored once however many segments hold it."""


class SegmentEntry(FileEntry):
    """One ONNX file of the package, the weights beside it, and what it costs."""

    id: Name
    tier: Tier
    weights: tuple[WeightsEntry, ...] = ()
    inputs: tuple[TensorEntry, ...] = Field(min_length=1)
    outputs: tuple[TensorEntry, ...] = Field(min_length=1)
    opset_domains: dict[str, int]
    param_bytes: Count
    predicted_ms: NotNegative
    measured_ms: NotNegative | None = None


class WireEntry(Frozen):
    """What one tier sends to the next."""

    from_tier: Tier
    to_tier: Tier
    tensors: tuple[WireTensor, ...] = Field(min_length=1)

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """The tensors as specs."""
        return tuple(tensor.to_spec() for tensor in self.tensors)


class CalibrationEntry(Frozen):
    """How a threshold was chosen: P(final right, exit wrong, leaves) <= epsilon with probability 1 - delta."""

    epsilon: Annotated[float, Field(gt=0, lt=1)]
    delta: Annotated[float, Field(gt=0, lt=1)]
    n: Annotated[int, Field(ge=1)]
    method: Name
    bound: Share
    share: Share


class ExitEntry(Frozen):
    """A head at a segment's end that answers for the samples whose confidence reaches the threshold."""

    segment: Name
    outputs: dict[Name, Name] = Field(min_length=1)
    confidence: Name
    threshold: float
    calibration: CalibrationEntry | None = None


class Alternative(Frozen):
    """A choice that was considered beside a plan, per sample.

    Attributes:
        name: what it is called.
        predicted_ms: expected latency, ms.
        bytes: sent over both links.
        energy_mj: mJ, where it is known.
        accuracy: share of right answers, where it was measured.
        measured_ms: expected latency from segments that were run, ms, where they were.
    """

    name: Name
    predicted_ms: NotNegative
    bytes: NotNegative
    energy_mj: NotNegative | None = None
    accuracy: Share | None = None
    measured_ms: NotNegative | None = None


class VerificationEntry(Frozen):
    """How a plan's segments were held against the whole model, or against the version before.

    Attributes:
        level: "bit-equal", or "tolerance" where codecs or codings change values; "revised" where the segments hold
            parameters that no whole model had: then all that follows is relative to the version before.
        max_abs: the largest difference of an output.
        max_rel: the same, relative to the largest value of that output.
        max_rel_values: the largest of those of outputs that predict no classes; None without such outputs.
        samples: how many were compared.
        agreement: share of predicted classes that agree; None where no classes are predicted.
        accuracy: share of calibration samples that the plan answers right; None without labels.
        accuracy_drop: the whole model's share less the plan's.
        against_version: of "revised": the version that it was held against.
    """

    level: Literal["bit-equal", "tolerance", "revised"]
    max_abs: NotNegative
    max_rel: NotNegative
    max_rel_values: NotNegative | None = None
    samples: Annotated[int, Field(ge=1)]
    agreement: Share | None
    accuracy: Share | None = None
    accuracy_drop: Annotated[float, Field(ge=-1, le=1)] | None = None
    against_version: Version | None = None

    @model_validator(mode="after")
    def _names_what_it_was_held_against(self) -> Self:
        if (self.level == "revised") != (self.against_version is not None):
            raise ValueError(f"level {self.level!r} with against_version {self.against_version}")
        return self


class PlanEntry(Frozen):
    """One way to run the package: which segments, over which wires, and what that was predicted to cost a sample.

    Attributes:
        id: what tiers compare.
        segments: in the order of tiers.
        wires: device to edge, then edge to cloud.
        objective: what the plan was chosen for.
        value: of the objective: ms (latency, and throughput's slowest stage), mJ or bytes.
        bound: the least that the solver proved possible.
        gap: how far `value` may be above the optimum, as a share of `value`.
        method: the solver's.
        predicted_ms: expected latency, whatever the objective, ms.
        measured_ms: the same from the segments as they ran on the machine that cut, ms, where they were run.
        energy_mj: expected energy, mJ, where it is known.
        bandwidth_from_bps: the device-edge bandwidth from which this plan is the best of the package's, bit/s.
        alternatives: what was considered beside it.
        verification: how its segments were held against the whole model.
    """

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    segments: tuple[Name, ...] = Field(min_length=1, max_length=3)
    wires: tuple[WireEntry, ...] = Field(max_length=2)
    objective: Literal["latency", "throughput", "energy", "bytes"]
    value: NotNegative
    bound: NotNegative
    gap: NotNegative
    method: Name
    predicted_ms: NotNegative
    measured_ms: NotNegative | None = None
    energy_mj: NotNegative | None = None
    bandwidth_from_bps: NotNegative = 0.0
    alternatives: tuple[Alternative, ...] = ()
    verification: VerificationEntry

    @property
    def last_tier(self) -> Tier:
        """The tier that answers for every sample that reaches it."""
        return self.wires[-1].to_tier if self.wires else "device"

    def wire_into(self, tier: Tier) -> WireEntry | None:
        """The wire that ends at `tier`, if any."""
        return next((wire for wire in self.wires if wire.to_tier == tier), None)

    def wire_from(self, tier: Tier) -> WireEntry | None:
        """The wire that starts at `tier`, if any."""
        return next((wire for wire in self.wires if wire.from_tier == tier), None)


class Manifest(Frozen):
    """manifest.json."""

    format_version: Literal[3]
    model: ModelEntry
    segments: tuple[SegmentEntry, ...] = Field(min_length=1)
    exits: tuple[ExitEntry, ...] = ()
    plans: tuple[PlanEntry, ...] = Field(min_length=1, max_length=MAX_PLANS)
    training: tuple[TrainingEntry, ...] = ()

    @property
    def plan(self) -> PlanEntry:
        """The default plan, which was made for the site as it was given."""
        return self.plans[0]

    @property
    def files(self) -> dict[str, FileEntry]:
        """Every file of the package beside the manifest, by path; weights that segments share stand once."""
        entries = [entry for segment in self.segments for entry in (segment, *segment.weights)]
        entries += [entry for training in self.training for entry in training.files]
        return {entry.file: entry for entry in entries}

    def segment_of(self, tier: Tier, plan: PlanEntry | None = None) -> SegmentEntry | None:
        """The segment that `plan` (the default one) runs at `tier`; None where it only relays or takes no part."""
        named = (plan or self.plan).segments
        return next((s for s in self.segments if s.tier == tier and s.id in named), None)

    def exit_of(self, segment_id: str) -> ExitEntry | None:
        """The exit at the end of a segment, if any."""
        return next((e for e in self.exits if e.segment == segment_id), None)
