"""`splitnet partition` from end to end: analyse, measure, choose, cut, verify, write."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from splitnet.codec import CODECS, CodecName
from splitnet.errors import InvalidArgumentError
from splitnet.package import MAX_VERSION, MODEL_NAME, Alternative, Package, VerificationEntry, check_target
from splitnet.partition.analysis import Analysis, analyse
from splitnet.partition.choose import choose, choose_at_cuts
from splitnet.partition.costs import Costs, measure_costs, restrict
from splitnet.partition.options import PartitionOptions
from splitnet.partition.pack import pack
from splitnet.partition.segments import BuiltPlan, build
from splitnet.partition.verify import Verifier
from splitnet.plan import Placement, best_split, unsplit
from splitnet.tiers import TIERS

OnStep = Callable[[str, float], None]

# With codec "auto" a codec that changes more predicted classes than this on calibration data is given up; for a
# model that predicts no classes, one that changes an output by more than this share of its largest value.
_LEAST_AGREEMENT = 0.995
_LARGEST_CHANGE = 0.01


@dataclass(frozen=True, slots=True)
class PartitionResult:
    """What came of a job.

    Attributes:
        package: as written.
        placement: the chosen plan.
        alternatives: the choices beside it, the unsplit ones first.
        cuts: the boundary tensors at each wire, before their codecs.
        given_up: codecs that "auto" tried and found to change too many answers.
        exit_shares: where the shares of samples that leave at exits come from: "measured" on calibration data,
            "recorded" in the model's metadata, or "none" without exits.
    """

    package: Package
    placement: Placement
    alternatives: tuple[Alternative, ...]
    cuts: tuple[tuple[str, ...], ...]
    given_up: tuple[str, ...]
    exit_shares: Literal["measured", "recorded", "none"]

    @property
    def device_answers_alone(self) -> bool:
        """Whether the device can answer when the tiers above are gone."""
        manifest = self.package.manifest
        return not manifest.plan.wires or any(
            manifest.exit_of(segment.id) for segment in manifest.segments if segment.tier == "device"
        )

    @property
    def is_split(self) -> bool:
        """Whether more than one tier computes."""
        return len(self.package.manifest.segments) > 1

    @property
    def changes_answers(self) -> bool:
        """Whether a codec that was asked for changes the answers by more than "auto" would let pass."""
        return not _is_faithful(self.package.manifest.verification)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        manifest = self.package.manifest
        return {
            "package": str(self.package.path),
            "plan": {
                "segments": list(manifest.plan.segments),
                "cuts": [list(tensors) for tensors in self.cuts],
                "codecs": [codec for _, codec in self.placement.wires],
                "exits": [entry.segment for entry in manifest.exits],
                "exit_shares": self.exit_shares,
                "device_answers_alone": self.device_answers_alone,
                "predicted_ms": self.placement.predicted_ms,
                "stages": [{"name": name, "ms": ms} for name, ms in self.placement.stages],
                "bytes": list(self.placement.bytes),
            },
            "alternatives": [choice.model_dump() for choice in self.alternatives],
            "verification": manifest.verification.model_dump(),
            "given_up": list(self.given_up),
        }


def partition(options: PartitionOptions, on_step: OnStep = lambda _step, _share: None) -> PartitionResult:
    """Cut a model for a site and write the package.

    Args:
        options: the job.
        on_step: called with the step's name and the share of the job that is done, 0.0 to 1.0.

    Raises:
        ModelError: the model cannot be loaded, cut or verified.
        NotFoundError: a file or tensor does not exist.
        InvalidArgumentError: options or calibration data do not fit the model.
        PackageError: the package cannot be written.
    """
    _check(options)
    on_step("load the model and observe its shapes", 0.0)
    analysis = analyse(options)
    on_step("profile", 0.2)
    costs = measure_costs(
        analysis,
        options.site,
        seconds=options.profile_s,
        on_progress=lambda share: on_step("profile", 0.2 + share / 3),
    )
    on_step("plan, cut and verify", 0.6)
    chosen = _plan_and_verify(options, analysis, costs)
    on_step("write the package", 0.9)
    alternatives = _alternatives(chosen.costs)
    package = pack(
        options, analysis, chosen.costs, chosen.placement, chosen.plan, chosen.verification, alternatives
    )
    on_step("done", 1.0)
    cuts = tuple(analysis.cuts[position].tensors for position, _ in chosen.placement.wires)
    exits = analysis.exits
    shares: Literal["measured", "recorded", "none"] = "recorded" if exits.estimated else "measured"
    return PartitionResult(
        package, chosen.placement, alternatives, cuts, chosen.given_up, shares if exits.heads else "none"
    )


@dataclass(frozen=True, slots=True)
class _Chosen:
    placement: Placement
    plan: BuiltPlan
    verification: VerificationEntry
    costs: Costs
    given_up: tuple[str, ...]


def _check(options: PartitionOptions) -> None:
    check_target(options.output)
    if options.name is not None and not re.fullmatch(MODEL_NAME, options.name):
        raise InvalidArgumentError(
            f"name {options.name!r}: expected 1 to 128 ASCII letters, digits, '_' and '-', a letter or digit first"
        )
    if not 1 <= options.version <= MAX_VERSION:
        raise InvalidArgumentError(f"version {options.version}: expected 1 to {MAX_VERSION}")
    if len(options.cuts) > len(TIERS) - 1:
        raise InvalidArgumentError(f"{len(options.cuts)} cuts by hand: three tiers have at most two")
    if options.cuts and options.place != "auto":
        raise InvalidArgumentError("cuts by hand say where each tier ends: leave --place out")
    if options.codec == "u8" and options.calibration is None:
        raise InvalidArgumentError("codec u8 needs the range of each value: give --calibration data")


def _plan_and_verify(options: PartitionOptions, analysis: Analysis, costs: Costs) -> _Chosen:
    """Choose and cut; with codec "auto", give up codecs that change too many answers and choose again."""
    codecs: Sequence[CodecName] = CODECS if options.codec == "auto" else (options.codec,)
    verifier = Verifier(analysis)
    given_up: tuple[str, ...] = ()
    while True:
        allowed = restrict(costs, codecs)
        if options.cuts:
            placement = choose_at_cuts(allowed.problem, options.cuts)
        else:
            placement = choose(allowed.problem, options.place)
        plan = build(analysis, allowed, placement)
        verification = verifier.verify(plan)
        lossy = {codec for _, codec in placement.wires} - {"none"}
        if options.codec != "auto" or not lossy or _is_faithful(verification):
            return _Chosen(placement, plan, verification, allowed, given_up)
        worst = "u8" if "u8" in lossy else "f16"
        given_up = (*given_up, worst)
        codecs = [codec for codec in codecs if codec != worst]


def _is_faithful(verification: VerificationEntry) -> bool:
    """Whether the codecs leave the answers as they are, to within what "auto" lets pass."""
    if verification.agreement is None:
        return verification.max_rel <= _LARGEST_CHANGE
    return verification.agreement >= _LEAST_AGREEMENT


def _alternatives(costs: Costs) -> tuple[Alternative, ...]:
    """The unsplit choices and the best split, as predicted."""
    choices = dict(unsplit(costs.problem))
    split = best_split(costs.problem)
    if split is not None:
        choices["best-split"] = split
    return tuple(
        Alternative(name=name, predicted_ms=choice.predicted_ms, bytes=sum(choice.bytes))
        for name, choice in choices.items()
    )
