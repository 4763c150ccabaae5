"""A package's manifest to choose plans of: one that sends much and computes little on the device, and others."""

from splitnet.adaptive import PlanChooser
from splitnet.config import AdaptiveConfig
from splitnet.package import LinkEntry, Manifest, PlanEntry, StageEntry, TensorEntry, WireEntry
from splitnet.tiers import TIERS
from tests.package.strategies import example, wire_tensor


def plan(name: str, compute_ms: tuple[float, ...], sample_bytes: int = 0, reach: float = 1.0) -> PlanEntry:
    """A plan whose device sends `sample_bytes` for a share `reach` of samples; with one stage it sends nothing."""
    entry = example().manifest.plan
    tensor = wire_tensor(TensorEntry(name="t", dtype="uint8", shape=("batch", sample_bytes)))
    reaches = (1.0, reach, reach)
    return entry.model_copy(
        update={
            "id": name * 12,
            "wires": (WireEntry(from_tier="device", to_tier="edge", tensors=(tensor,)),)[: len(compute_ms) - 1],
            "stages": tuple(
                StageEntry(tier=tier, reach=share, compute_ms=ms)
                for tier, share, ms in zip(TIERS, reaches, compute_ms, strict=False)
            ),
        }
    )


#: Much is sent, little computed on the device; half; next to nothing sent; nothing sent.
MUCH = plan("a", (5.0, 10.0), 40_000)
HALF = plan("b", (30.0, 6.0), 12_000)
LITTLE = plan("c", (60.0, 2.0), 2_000)
NOTHING = plan("d", (62.0,))

LINKS = (LinkEntry(bandwidth_bps=2e7, rtt_ms=10.9), LinkEntry(bandwidth_bps=1e8, rtt_ms=40.9))


def manifest_of(*plans: PlanEntry) -> Manifest:
    return example().manifest.model_copy(update={"plans": plans, "links": LINKS})


def chooser_of(*plans: PlanEntry, **settings: float) -> PlanChooser:
    """A chooser for which the tier above has all plans ready."""
    names = [each.id for each in plans]
    chooser = PlanChooser(manifest_of(*plans), names, AdaptiveConfig(**settings))  # type: ignore[arg-type]
    for name in names:
        chooser.set_ready(name, ready=True)
    return chooser
