"""The manifest: what a package holds, as validated, immutable data (docs/package.md is its specification)."""

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from splitnet.config import Frozen
from splitnet.errors import SplitNetError
from splitnet.tensors import TensorSpec
from splitnet.tiers import Tier

FORMAT_VERSION: Literal[1] = 1

#: What a model may be called, as a regular expression, and the highest version of one.
MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,127}$"
MAX_VERSION = 2**31


def _inside(path: str) -> str:
    parts = PurePosixPath(path)
    if parts.is_absolute() or not parts.parts or ".." in parts.parts or "\\" in path or "\0" in path:
        raise ValueError(f"{path!r} leaves the package")
    return path


RelativePath = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_inside)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1, max_length=512)]
Milliseconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0, le=2**53)]


class TensorEntry(Frozen):
    """A tensor's name, element type (numpy's name) and shape; the open axis is named `batch`."""

    name: Name
    dtype: str
    shape: Annotated[tuple[Annotated[int, Field(ge=0, le=2**31)] | Literal["batch"], ...], Field(max_length=32)]

    @model_validator(mode="after")
    def _is_a_spec(self) -> Self:
        try:
            self.to_spec()
        except SplitNetError as err:
            raise ValueError(str(err)) from err
        return self

    @classmethod
    def from_spec(cls, spec: TensorSpec) -> "TensorEntry":
        """Return the entry of a TensorSpec."""
        return TensorEntry.model_validate({"name": spec.name, "dtype": spec.dtype, "shape": spec.shape})

    def to_spec(self) -> TensorSpec:
        """Return the entry as a TensorSpec."""
        return TensorSpec(self.name, self.dtype, tuple(self.shape))


class WireTensor(TensorEntry):
    """A boundary tensor as it is sent: after its codec."""

    codec: Literal["none", "f16", "u8"] = "none"
    batch_axis: int | None
    bytes_per_sample: Count

    @model_validator(mode="after")
    def _derived_fields_agree(self) -> Self:
        spec = self.to_spec()
        if self.batch_axis != spec.batch_axis:
            raise ValueError(f"batch_axis {self.batch_axis} contradicts shape {list(self.shape)}")
        if self.bytes_per_sample != spec.sample_nbytes:
            raise ValueError(f"bytes_per_sample {self.bytes_per_sample} is not {spec.sample_nbytes}")
        return self


class ModelEntry(Frozen):
    """The whole model that the segments were cut from."""

    name: Annotated[str, Field(pattern=MODEL_NAME)]
    version: Annotated[int, Field(ge=1, le=MAX_VERSION)]
    sha256: Sha256
    opset: Annotated[int, Field(ge=1)]
    inputs: tuple[TensorEntry, ...] = Field(min_length=1)
    outputs: tuple[TensorEntry, ...] = Field(min_length=1)


class SegmentEntry(Frozen):
    """One ONNX file of the package and what it costs."""

    id: Name
    tier: Tier
    file: RelativePath
    sha256: Sha256
    size_bytes: Count
    inputs: tuple[TensorEntry, ...] = Field(min_length=1)
    outputs: tuple[TensorEntry, ...] = Field(min_length=1)
    opset_domains: dict[str, int]
    param_bytes: Count
    predicted_ms: Milliseconds
    measured_ms: Milliseconds


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
    bound: Annotated[float, Field(ge=0, le=1)]
    share: Annotated[float, Field(ge=0, le=1)]


class ExitEntry(Frozen):
    """A head at a segment's end that answers for the samples whose confidence reaches the threshold."""

    segment: Name
    outputs: dict[Name, Name] = Field(min_length=1)
    confidence: Name
    threshold: float
    calibration: CalibrationEntry | None = None


class Alternative(Frozen):
    """A choice that was considered, with its predicted cost and bytes per sample over both links."""

    name: Name
    predicted_ms: Milliseconds
    bytes: Annotated[float, Field(ge=0)]


class PlanEntry(Frozen):
    """One way to run the package: which segments, over which wires, and what that was predicted to cost."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    segments: tuple[Name, ...] = Field(min_length=1, max_length=3)
    wires: tuple[WireEntry, ...] = Field(max_length=2)
    objective: Literal["latency"]
    value: Milliseconds
    bound: Milliseconds
    alternatives: tuple[Alternative, ...] = ()

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


class VerificationEntry(Frozen):
    """How the segments were held against the whole model."""

    level: Literal["bit-equal", "tolerance"]
    max_abs: Annotated[float, Field(ge=0)]
    max_rel: Annotated[float, Field(ge=0)]
    samples: Annotated[int, Field(ge=1)]
    agreement: Annotated[float, Field(ge=0, le=1)] | None


class Manifest(Frozen):
    """manifest.json."""

    format_version: Literal[1]
    model: ModelEntry
    segments: tuple[SegmentEntry, ...] = Field(min_length=1)
    exits: tuple[ExitEntry, ...] = ()
    plans: tuple[PlanEntry, ...] = Field(min_length=1, max_length=1)
    verification: VerificationEntry

    @property
    def plan(self) -> PlanEntry:
        """The plan that tiers run."""
        return self.plans[0]

    def segment_of(self, tier: Tier) -> SegmentEntry | None:
        """The plan's segment at `tier`; None where that tier only relays or takes no part."""
        return next((s for s in self.segments if s.tier == tier and s.id in self.plan.segments), None)

    def exit_of(self, segment_id: str) -> ExitEntry | None:
        """The exit at the end of a segment, if any."""
        return next((e for e in self.exits if e.segment == segment_id), None)
