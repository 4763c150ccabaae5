"""The manifest: what a package holds, as validated, immutable data (docs/package.md is its specification)."""

from typing import Annotated, Literal

from pydantic import Field

from splitnet.config import Frozen
from splitnet.errors import NotFoundError
from splitnet.package.entries import Count, FileEntry, Name, NotNegative, Sha256, Share, TensorEntry, Version
from splitnet.package.plans import PlanEntry
from splitnet.package.training import TrainingEntry
from splitnet.package.wires import LinkEntry
from splitnet.tiers import Tier

FORMAT_VERSION: Literal[4] = 4

#: How many plans a package may hold: each is one more way to run the same model.
MAX_PLANS = 16

#: What a model may be called, as a regular expression.
MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,127}$"


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


class BackupEntry(FileEntry):
    """A small model of the same inputs and outputs, for a device that has no exit and reaches nobody.

    Attributes:
        inputs: those of `model.inputs` that it takes.
        outputs: `model.outputs`, in any order.
        accuracy: share of calibration samples that it answers right; None without labels.
    """

    inputs: tuple[TensorEntry, ...] = Field(min_length=1)
    outputs: tuple[TensorEntry, ...] = Field(min_length=1)
    accuracy: Share | None = None


class Manifest(Frozen):
    """manifest.json."""

    format_version: Literal[4]
    model: ModelEntry
    segments: tuple[SegmentEntry, ...] = Field(min_length=1)
    exits: tuple[ExitEntry, ...] = ()
    plans: tuple[PlanEntry, ...] = Field(min_length=1, max_length=MAX_PLANS)
    links: tuple[LinkEntry, LinkEntry]
    training: tuple[TrainingEntry, ...] = ()
    backup: BackupEntry | None = None

    @property
    def plan(self) -> PlanEntry:
        """The default plan, which was made for the site as it was given."""
        return self.plans[0]

    @property
    def files(self) -> dict[str, FileEntry]:
        """Every file of the package beside the manifest, by path; weights that segments share stand once."""
        entries = [entry for segment in self.segments for entry in (segment, *segment.weights)]
        entries += [entry for training in self.training for entry in training.files]
        entries += [self.backup] if self.backup is not None else []
        return {entry.file: entry for entry in entries}

    def plan_of(self, plan_id: str) -> PlanEntry:
        """The plan of that id.

        Raises:
            NotFoundError: there is none.
        """
        found = next((plan for plan in self.plans if plan.id == plan_id), None)
        if found is None:
            raise NotFoundError(f"no plan {plan_id!r}; there are {[plan.id for plan in self.plans]}")
        return found

    def model_name(self, tier: Tier, plan: PlanEntry | None = None) -> str:
        """What the part of `plan` at `tier` is served as; the default plan's has no plan in its name."""
        base = f"{self.model.name}.{tier}"
        return base if plan is None or plan.id == self.plan.id else f"{base}.{plan.id}"

    def segment_of(self, tier: Tier, plan: PlanEntry | None = None) -> SegmentEntry | None:
        """The segment that `plan` (the default one) runs at `tier`; None where it only relays or takes no part."""
        named = (plan or self.plan).segments
        return next((s for s in self.segments if s.tier == tier and s.id in named), None)

    def exit_of(self, segment_id: str) -> ExitEntry | None:
        """The exit at the end of a segment, if any."""
        return next((e for e in self.exits if e.segment == segment_id), None)
