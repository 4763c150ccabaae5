"""What the manifest of a revised package says anew: thresholds, distance from the version before, plans' names."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from splitnet.differences import Differences
from splitnet.exits.heads import calibrate
from splitnet.package import CalibrationEntry, ExitEntry, Manifest, PlanEntry, VerificationEntry, plan_id
from splitnet.release.figures import class_output
from splitnet.release.stitched import Observation

Labels = NDArray[np.integer] | None


def recalibrated(
    manifest: Manifest, observed: Mapping[str, Observation], labels: Labels
) -> tuple[tuple[ExitEntry, ...], list[str]]:
    """Choose each exit's threshold anew, for the epsilon and delta that its calibration states.

    Those are its part of what all exits may cost together, so that the promise of the whole stays as it was. An
    exit that states none keeps its threshold.

    Args:
        manifest: the draft's.
        observed: by plan; an exit that several plans have is calibrated in the first of them.
        labels: `[n]`; None counts the last tier's answer as right.

    Returns:
        The exits, and a sentence for each that cannot be calibrated: it keeps its threshold, and promises nothing.
    """
    exits, lost = [], []
    for entry in manifest.exits:
        plan = next((plan for plan in manifest.plans if entry.segment in plan.segments), None)
        stated = entry.calibration
        if plan is None or stated is None:
            exits.append(entry)
            continue
        values = observed[plan.id].values
        chosen = calibrate(entry, values, labels, epsilon=stated.epsilon, delta=stated.delta)
        if chosen is None:
            lost.append(
                f"the exit of segment {entry.segment!r} has no threshold that keeps its risk at "
                f"{stated.epsilon:g} ({100 * (1 - stated.delta):.3g} % sure) on {len(values[entry.confidence])} "
                "samples: it answers too many wrongly, or they are too few"
            )
            exits.append(entry.model_copy(update={"calibration": None}))
        else:
            record = CalibrationEntry.model_validate(chosen.promise())
            exits.append(entry.model_copy(update={"threshold": chosen.threshold, "calibration": record}))
    return tuple(exits), lost


def compared(
    running: Manifest, before: Mapping[str, Observation], after: Mapping[str, Observation], labels: Labels
) -> dict[str, VerificationEntry]:
    """Hold what each plan's segments answer against what they answered in the version before, by the plan's id."""
    return {plan.id: _compared(running, before[plan.id], after[plan.id], labels) for plan in running.plans}


def _compared(running: Manifest, before: Observation, after: Observation, labels: Labels) -> VerificationEntry:
    found = Differences()
    found.samples = len(before.values[class_output(running)])
    found.add(before.values, after.values, found.samples)
    if labels is not None:
        answer = class_output(running)
        found.score(before.values[answer], after.values[answer], labels)
    return VerificationEntry(
        level="revised",
        against_version=running.model.version,
        **found.figures(),
    )


def concluded(draft: Manifest, exits: Sequence[ExitEntry], verified: Mapping[str, VerificationEntry]) -> Manifest:
    """Return the draft's manifest with its final exits and plans.

    What a plan was predicted to cost stays, since its graphs are the same; the accuracies of the choices beside
    it, which were those of other parameters, go.
    """
    segments = {segment.id: segment for segment in draft.segments}

    def final(plan: PlanEntry) -> PlanEntry:
        name = plan_id(
            [segments[one] for one in plan.segments],
            plan.wires,
            [entry for entry in exits if entry.segment in plan.segments],
        )
        others = tuple(choice.model_copy(update={"accuracy": None}) for choice in plan.alternatives)
        return plan.model_copy(update={"id": name, "alternatives": others, "verification": verified[plan.id]})

    plans = tuple(final(plan) for plan in draft.plans)
    manifest = draft.model_copy(update={"exits": tuple(exits), "plans": plans})
    return Manifest.model_validate_json(manifest.model_dump_json())  # copies with changes are not validated
