"""What each node of the model costs on each tier: profiled here and scaled, or profiled on the tier's machine."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from splitnet.cost import Machine, Profile, StoredProfile, read_profile
from splitnet.errors import InvalidArgumentError
from splitnet.partition.abilities import unable_tiers
from splitnet.partition.analysis import Analysis
from splitnet.partition.options import PartitionOptions
from splitnet.tiers import TIERS, Tier

#: One number a tier: device, edge, cloud. None where the tier cannot run the node.
PerTier = tuple[float | None, float | None, float | None]


@dataclass(frozen=True, slots=True)
class Times:
    """What the model costs.

    Attributes:
        profile: as measured here.
        slowness: time on each tier over time here.
        able: whether each tier can run this model's nodes at all.
        node_ms: by node, on each tier, whether it is able or not.
    """

    profile: Profile
    slowness: tuple[float, float, float]
    able: tuple[bool, bool, bool]
    node_ms: Mapping[str, tuple[float, float, float]]

    def of(self, nodes: Iterable[str]) -> PerTier:
        """Return the time of `nodes` on each tier, ms; None where the tier cannot run them."""
        known = [self.node_ms[name] for name in nodes if name in self.node_ms]
        totals = [sum(ms[tier] for ms in known) for tier in range(len(TIERS))]
        device, edge, cloud = (ms if able else None for ms, able in zip(totals, self.able, strict=True))
        return device, edge, cloud


def measure_times(
    analysis: Analysis, options: PartitionOptions, *, on_progress: Callable[[float], None] | None = None
) -> Times:
    """Profile the model here, and hold that against the machines of the site.

    A tier with a profile of its own takes its nodes' times from there; the others divide by their speed.

    Raises:
        ModelError: onnxruntime fails on the model.
        NotFoundError: a profile does not exist.
        ConfigError: a profile cannot be read, or no tier can run the model.
        InvalidArgumentError: a profile is of another model.
    """
    unable = unable_tiers(analysis, options)
    stored = {tier: _stored(path, options) for tier, path in options.profiles.items()}
    profile = analysis.whole.profile(seconds=options.profile_s, on_progress=on_progress)
    machines = dict(zip(TIERS, (options.site.device, options.site.edge, options.site.cloud), strict=True))
    slowness = {tier: _slowness(stored.get(tier), machine, profile) for tier, machine in machines.items()}
    node_ms = {name: _on_each(name, ms, stored, slowness) for name, ms in profile.node_ms.items()}
    return Times(
        profile,
        (slowness["device"], slowness["edge"], slowness["cloud"]),
        ("device" not in unable, "edge" not in unable, "cloud" not in unable),
        node_ms,
    )


def _stored(path: Path, options: PartitionOptions) -> StoredProfile:
    stored = read_profile(path)
    with options.model.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    remedy = f"measure this one on that machine with `splitnet profile MODEL -o {path.name}`"
    if stored.model_sha256 != digest:
        raise InvalidArgumentError(
            f"{path}: a profile of another model (SHA-256 {stored.model_sha256[:12]}…, "
            f"that of {options.model} is {digest[:12]}…); {remedy}"
        )
    if stored.axis_sizes != dict(options.axis_sizes):
        raise InvalidArgumentError(
            f"{path}: measured with axes {stored.axis_sizes}, and --dim says {dict(options.axis_sizes)}; {remedy}"
        )
    return stored


def _slowness(stored: StoredProfile | None, machine: Machine, profile: Profile) -> float:
    return 1.0 / machine.speed if stored is None else stored.whole_ms / profile.whole_ms


def _on_each(
    name: str, ms: float, stored: Mapping[Tier, StoredProfile], slowness: Mapping[Tier, float]
) -> tuple[float, float, float]:
    # A stored profile is of the model's file, and knows no node of an exit that was trained here.
    device, edge, cloud = (
        stored[tier].node_ms.get(name, ms * slower) if tier in stored else ms * slower
        for tier, slower in slowness.items()
    )
    return device, edge, cloud
