"""Loading a package's segments as the stages that a tier runs."""

from collections.abc import Callable
from pathlib import Path

from splitnet.config import TierConfig
from splitnet.onnx_session import CPU, OptimisedFile
from splitnet.package import ExitEntry, Manifest, Package, PlanEntry, SegmentEntry
from splitnet.runtime import Exit, Segment, Stage
from splitnet.tier.coding import check_codings
from splitnet.tiers import TIERS, Tier

LoadSegment = Callable[[SegmentEntry], Segment]


class SegmentLoader:
    """Reads, verifies and loads each segment of a package at most once."""

    def __init__(
        self,
        package: Package,
        *,
        emulated_speed: float | None = None,
        provider: str = CPU,
        optimised: Path | None = None,
    ) -> None:
        """Load nothing yet.

        Args:
            package: whose segments are loaded.
            emulated_speed: run them at this fraction of this machine's speed; None at full speed.
            provider: what computes them, by its short name.
            optimised: where models are kept as optimised for this machine; None keeps none.
        """
        self._package = package
        self._emulated_speed = emulated_speed
        self._provider = provider
        self._optimised = optimised
        self._loaded: dict[str, Segment] = {}

    @classmethod
    def of(cls, package: Package, config: TierConfig) -> "SegmentLoader":
        """Return a loader for the segments of `package` as a tier of this configuration runs them."""
        return cls(
            package,
            emulated_speed=config.emulated_speed,
            provider=config.provider,
            optimised=config.optimised,
        )

    def __call__(self, entry: SegmentEntry) -> Segment:
        """Return a segment of the package.

        Raises:
            PackageError: the file is missing or altered.
            ModelError: onnxruntime refuses it.
            ConfigError: this onnxruntime does not have the provider.
        """
        if entry.id not in self._loaded:
            folder = self._optimised
            optimised = OptimisedFile(folder, entry.sha256) if folder is not None else None
            self._loaded[entry.id] = Segment(
                self._package.read_segment(entry),
                name=entry.id,
                emulated_speed=self._emulated_speed,
                provider=self._provider,
                optimised=optimised,
            )
        return self._loaded[entry.id]


def own_stage(package: Package, tier: Tier, load: LoadSegment, plan: PlanEntry | None = None) -> Stage:
    """Return the stage that `tier` runs of `plan`, the default one, for the tier below it, with its exit.

    Raises:
        ConfigError: what codes the tensors of a wire of this tier is not installed.
        PackageError: a coding does not apply to its tensor, or the segment is missing or altered.
        ModelError: onnxruntime refuses the segment.
    """
    plan = plan if plan is not None else package.manifest.plan
    check_codings((plan.wire_into(tier), plan.wire_from(tier)))
    return _stage(package.manifest, plan, tier, load, with_exit=True)


def stages_up_to(package: Package, tier: Tier, load: LoadSegment) -> tuple[Stage, ...]:
    """Return the stages of the default plan from the model's own inputs up to `tier`, for whole inputs.

    Exits below `tier` are not used: their tiers take no part, and this one has gone on anyway. A lower
    segment of which nothing is sent on or answered is not run at all.
    """
    manifest = package.manifest
    last = min(TIERS.index(tier), TIERS.index(manifest.plan.last_tier))
    return tuple(
        _stage(manifest, manifest.plan, lower, load, with_exit=lower == tier) for lower in TIERS[: last + 1]
    )


def plans_that_fit(manifest: Manifest, tier: Tier, most_bytes: int) -> tuple[PlanEntry, ...]:
    """Return the default plan and, in their order, those of the others whose segments at `tier` fit.

    A segment that several plans run counts once, those of the default plan not at all. Weights count in full
    though plans map them from the same files: onnxruntime packs them anew in each session.

    Args:
        manifest: of the package.
        tier: where they are to be loaded.
        most_bytes: of weights, of all plans but the default one.
    """
    default = manifest.segment_of(tier)
    held = {default.id} if default is not None else set()
    fitting, left = [manifest.plan], most_bytes
    for plan in manifest.plans[1:]:
        segment = manifest.segment_of(tier, plan)
        needed = 0 if segment is None or segment.id in held else segment.param_bytes
        if needed <= left:
            left -= needed
            held |= {segment.id} if segment is not None else set()
            fitting.append(plan)
    return tuple(fitting)


def _stage(manifest: Manifest, plan: PlanEntry, tier: Tier, load: LoadSegment, *, with_exit: bool) -> Stage:
    into, out = plan.wire_into(tier), plan.wire_from(tier)
    incoming = into.specs if into is not None else tuple(entry.to_spec() for entry in manifest.model.inputs)
    outgoing = out.specs if out is not None else ()
    entry = manifest.segment_of(tier, plan)
    made = {tensor.name for tensor in entry.outputs} if entry is not None else set()
    answers = tuple(output.name for output in manifest.model.outputs if output.name in made)
    exit_entry = manifest.exit_of(entry.id) if entry is not None and with_exit else None
    needed = exit_entry is not None or answers or made & {spec.name for spec in outgoing}
    return Stage(
        tier,
        load(entry) if entry is not None and needed else None,
        _exit(exit_entry),
        incoming,
        outgoing,
        answers,
    )


def _exit(entry: ExitEntry | None) -> Exit | None:
    return Exit(entry.outputs, entry.confidence, entry.threshold) if entry is not None else None
