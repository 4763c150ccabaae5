"""Entries of a manifest for plans: which segments run over which wires, what that costs, how it was verified."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from splitnet.config import Frozen
from splitnet.package.entries import Name, NotNegative, Share, Version
from splitnet.package.wires import MESSAGE_BYTES, WireEntry
from splitnet.tiers import Tier


class StageEntry(Frozen):
    """What one tier does of a plan, as planned: from this a device predicts the plan at another bandwidth.

    Attributes:
        tier: where.
        reach: share of all samples that get there.
        compute_ms: of one sample that gets there, on the site's machine for this tier, exit included, ms.
    """

    tier: Tier
    reach: Share
    compute_ms: NotNegative


class Alternative(Frozen):
    """A choice that was considered beside a plan, per sample.

    Attributes:
        name: what it is called.
        predicted_ms: expected latency, ms.
        bytes: sent up over both links, `MESSAGE_BYTES` a message included.
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
        stages: what each tier does, from the device to the last.
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
    stages: tuple[StageEntry, ...] = Field(min_length=1, max_length=3)
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

    @property
    def bytes(self) -> float:
        """Expected bytes of a sample sent up over both links, as those of an `Alternative`."""
        reach = {stage.tier: stage.reach for stage in self.stages}
        return sum(reach[wire.to_tier] * (wire.sample_bytes + MESSAGE_BYTES) for wire in self.wires)

    def wire_into(self, tier: Tier) -> WireEntry | None:
        """The wire that ends at `tier`, if any."""
        return next((wire for wire in self.wires if wire.to_tier == tier), None)

    def wire_from(self, tier: Tier) -> WireEntry | None:
        """The wire that starts at `tier`, if any."""
        return next((wire for wire in self.wires if wire.from_tier == tier), None)
