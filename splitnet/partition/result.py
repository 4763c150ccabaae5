"""What came of a job."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from splitnet.package import Package, TrainingEntry
from splitnet.partition.bandwidths import PlanFrom
from splitnet.partition.options import PartitionOptions
from splitnet.partition.rank import Ranking
from splitnet.partition.search import Found, Search, computing
from splitnet.plan import Placement


@dataclass(frozen=True, slots=True)
class PartitionResult:
    """What came of a job.

    Attributes:
        package: as written.
        options: what was asked for.
        search: with the model, its costs and what was given up.
        plans: of the package, the default first.
        ranking: the plans that were run before one was chosen, and the choices beside it.
    """

    package: Package
    options: PartitionOptions
    search: Search
    plans: tuple[PlanFrom, ...]
    ranking: Ranking

    @property
    def alternatives(self) -> Mapping[str, Found]:
        """The choices beside the plan by name, the unsplit ones first."""
        return self.ranking.alternatives

    @property
    def found(self) -> Found:
        """The default plan."""
        return self.plans[0].found

    @property
    def placement(self) -> Placement:
        """Which tier runs what under the default plan."""
        return self.found.solution.placement

    @property
    def cuts(self) -> tuple[tuple[str, ...], ...]:
        """The boundary tensors at each wire, before their codecs."""
        return tuple(tuple(ways) for ways in self.placement.codecs)

    @property
    def codecs(self) -> tuple[tuple[str, ...], ...]:
        """How each of them is sent: codec, or codec and coding with "+" between."""
        return tuple(tuple(way for _, way in wire) for wire in self.found.plan.sent)

    @property
    def given_up(self) -> tuple[str, ...]:
        """Codecs and codings that were found to change too many answers somewhere, and were not used there."""
        return self.search.given_up

    @property
    def exit_shares(self) -> Literal["measured", "recorded", "none"]:
        """Where the shares of samples that leave at exits come from.

        "measured" on calibration data, "recorded" in the model's metadata, or "none" without exits.
        """
        exits = self.search.analysis.exits
        if not exits.heads:
            return "none"
        return "recorded" if exits.estimated else "measured"

    @property
    def device_answers_alone(self) -> bool:
        """Whether the device can answer when the tiers above are gone."""
        manifest = self.package.manifest
        return not manifest.plan.wires or any(
            manifest.exit_of(segment.id)
            for segment in manifest.segments
            if segment.tier == "device" and segment.id in manifest.plan.segments
        )

    @property
    def is_split(self) -> bool:
        """Whether more than one tier computes, codecs aside."""
        return computing(self.placement) > 1

    @property
    def changes_answers(self) -> bool:
        """Whether a codec that was asked for changes the answers by more than "auto" would let pass."""
        return not self.search.keeps_answers(self.found.verification)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        manifest, plan = self.package.manifest, self.package.manifest.plan
        return {
            "package": str(self.package.path),
            "plan": {
                "segments": list(plan.segments),
                "cuts": [list(tensors) for tensors in self.cuts],
                "codecs": [list(ways) for ways in self.codecs],
                "exits": [entry.segment for entry in manifest.exits if entry.segment in plan.segments],
                "exit_shares": self.exit_shares,
                "device_answers_alone": self.device_answers_alone,
                "objective": plan.objective,
                "value": plan.value,
                "bound": plan.bound,
                "gap": plan.gap,
                "method": plan.method,
                "predicted_ms": plan.predicted_ms,
                "measured_ms": plan.measured_ms,
                "energy_mj": plan.energy_mj,
                "stages": [{"name": name, "ms": ms} for name, ms in self.placement.stages],
                "bytes": list(self.placement.bytes),
            },
            "plans": [
                {
                    "id": entry.id,
                    "segments": list(entry.segments),
                    "bandwidth_from_bps": entry.bandwidth_from_bps,
                    "predicted_ms": entry.predicted_ms,
                }
                for entry in manifest.plans
            ],
            "alternatives": [choice.model_dump() for choice in plan.alternatives],
            "tried": [_tried(found) for found in self.ranking.tried],
            "verification": plan.verification.model_dump(),
            "given_up": list(self.given_up),
            "training": [_training(entry) for entry in manifest.training],
        }


def _training(entry: TrainingEntry) -> dict[str, Any]:
    return {
        "segment": entry.segment,
        "scope": entry.scope,
        "output": entry.output,
        "inputs": [tensor.name for tensor in entry.inputs],
        "parameters": entry.parameter_count,
    }


def _tried(found: Found) -> dict[str, Any]:
    placement = found.solution.placement
    return {
        "cuts": [list(ways) for ways in placement.codecs],
        "codecs": [list(ways.values()) for ways in placement.codecs],
        "predicted_ms": placement.latency_ms,
        "measured_ms": found.measured.latency_ms if found.measured is not None else None,
    }
