"""Loading a package's segments as the stages that a tier runs."""

from collections.abc import Callable, Sequence

import numpy as np

from splitnet.package import ExitEntry, Package
from splitnet.runtime import Exit, Segment, Stage
from splitnet.tensors import Array, TensorSpec
from splitnet.tier.coding import check_codings
from splitnet.tiers import TIERS, Tier

LoadSegment = Callable[[Tier], Segment | None]


class SegmentLoader:
    """Reads, verifies and loads each segment of a package at most once."""

    def __init__(self, package: Package, *, emulated_speed: float | None = None) -> None:
        self._package = package
        self._emulated_speed = emulated_speed
        self._loaded: dict[Tier, Segment] = {}

    def __call__(self, tier: Tier) -> Segment | None:
        """Return the segment of `tier`, None where the plan gives it none.

        Raises:
            PackageError: the file is missing or altered.
            ModelError: onnxruntime refuses it.
        """
        entry = self._package.manifest.segment_of(tier)
        if entry is None:
            return None
        if tier not in self._loaded:
            model = self._package.read_segment(entry)
            self._loaded[tier] = Segment(model, name=entry.id, emulated_speed=self._emulated_speed)
        return self._loaded[tier]


def own_stage(package: Package, tier: Tier, load: LoadSegment) -> Stage:
    """Return the stage that `tier` runs for the tier below it, with its exit.

    Raises:
        ConfigError: what codes the tensors of a wire of this tier is not installed.
        PackageError: a coding does not apply to its tensor, or the segment is missing or altered.
        ModelError: onnxruntime refuses the segment.
    """
    plan = package.manifest.plan
    check_codings((plan.wire_into(tier), plan.wire_from(tier)))
    return _stage(package, tier, load, with_exit=True)


def stages_up_to(package: Package, tier: Tier, load: LoadSegment) -> tuple[Stage, ...]:
    """Return the stages from the model's own inputs up to `tier`, for clients that send whole inputs.

    Exits below `tier` are not used: their tiers take no part, and this one has gone on anyway. A lower
    segment of which nothing is sent on or answered is not run at all.
    """
    last = min(TIERS.index(tier), TIERS.index(package.manifest.plan.last_tier))
    return tuple(_stage(package, lower, load, with_exit=lower == tier) for lower in TIERS[: last + 1])


def _stage(package: Package, tier: Tier, load: LoadSegment, *, with_exit: bool) -> Stage:
    manifest = package.manifest
    into, out = manifest.plan.wire_into(tier), manifest.plan.wire_from(tier)
    incoming = into.specs if into is not None else tuple(entry.to_spec() for entry in manifest.model.inputs)
    outgoing = out.specs if out is not None else ()
    entry = manifest.segment_of(tier)
    made = {tensor.name for tensor in entry.outputs} if entry is not None else set()
    answers = tuple(output.name for output in manifest.model.outputs if output.name in made)
    exit_entry = manifest.exit_of(entry.id) if entry is not None and with_exit else None
    needed = exit_entry is not None or answers or made & {spec.name for spec in outgoing}
    return Stage(
        tier,
        load(tier) if needed else None,
        _exit(exit_entry),
        incoming,
        outgoing,
        answers,
    )


def _exit(entry: ExitEntry | None) -> Exit | None:
    return Exit(entry.outputs, entry.confidence, entry.threshold) if entry is not None else None


def warm_up(stages: Sequence[Stage]) -> None:
    """Run each loaded segment once on zeros, so that the first request does not pay for first-time work."""
    for stage in stages:
        if stage.segment is not None:
            stage.segment.run({spec.name: _one_sample(spec) for spec in stage.incoming})


def _one_sample(spec: TensorSpec) -> Array:
    return np.zeros([size if isinstance(size, int) else 1 for size in spec.shape], spec.dtype)
