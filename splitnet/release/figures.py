"""What a version does with samples: who answers, whether rightly, and what goes up."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import ModelError
from splitnet.exits import leaves
from splitnet.package import Manifest
from splitnet.release.stitched import Observation


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of each sample.

    Attributes:
        right: bool `[n]`, whether the answer that it got is right.
        device_right: bool `[n]`, whether the device's exit would be, leaving or not; None where it has none.
        forwarded: bool `[n]`, whether it left the device upwards.
        sent_bytes: int64 `[n]`, bytes of tensors that it sent up over all links.
    """

    right: NDArray[np.bool_]
    device_right: NDArray[np.bool_] | None
    forwarded: NDArray[np.bool_]
    sent_bytes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Figures:
    """The same for all samples together.

    Attributes:
        version: of the package.
        device_accuracy: share that the device's exit alone would answer rightly; None where it has none.
        accuracy: share of right answers.
        forwarded_share: share that left the device upwards.
        bytes_per_sample: mean bytes of tensors sent up over all links, without framing.
    """

    version: int
    device_accuracy: float | None
    accuracy: float
    forwarded_share: float
    bytes_per_sample: float


def class_output(manifest: Manifest) -> str:
    """Return the output whose largest entry is the predicted class: the first of shape [batch, classes].

    Raises:
        ModelError: there is none.
    """
    found = next((entry.name for entry in manifest.model.outputs if len(entry.shape) == 2), None)
    if found is None:
        raise ModelError(
            f"model {manifest.model.name!r} has no output [batch, classes]; only classifiers are judged"
        )
    return found


def last_answers(manifest: Manifest, observed: Observation) -> NDArray[np.intp]:
    """Return the class that the last tier answers for each sample, `[n]`."""
    answers: NDArray[np.intp] = observed.values[class_output(manifest)].argmax(axis=1)
    return answers


def route(manifest: Manifest, observed: Observation, truth: NDArray[np.integer]) -> Outcomes:
    """Apply the exits of a package's default plan to what its segments gave.

    Args:
        manifest: with the thresholds that count.
        observed: of the default plan.
        truth: the right class of each sample, `[n]`.
    """
    answer, plan = class_output(manifest), manifest.plan
    right = last_answers(manifest, observed) == truth
    open_, sent_bytes = np.ones(len(truth), np.bool_), np.zeros(len(truth), np.int64)
    forwarded = np.zeros(len(truth), np.bool_)
    device_right = right if not plan.wires else None
    for index, wire in enumerate(plan.wires):
        segment = manifest.segment_of(wire.from_tier)
        head = manifest.exit_of(segment.id) if segment is not None else None
        if head is not None:
            early = observed.values[head.outputs[answer]].argmax(axis=1) == truth
            leaving = open_ & leaves(observed.values[head.confidence], head.threshold)
            right = np.where(leaving, early, right)
            open_ = open_ & ~leaving
            device_right = early if index == 0 else device_right
        forwarded = open_ if index == 0 else forwarded
        sent_bytes += np.where(open_, observed.sent_bytes[index], 0)
    return Outcomes(right, device_right, forwarded, sent_bytes)


def summed_up(version: int, outcomes: Outcomes) -> Figures:
    """Return the figures of `outcomes`."""
    return Figures(
        version,
        float(outcomes.device_right.mean()) if outcomes.device_right is not None else None,
        float(outcomes.right.mean()),
        float(outcomes.forwarded.mean()),
        float(outcomes.sent_bytes.mean()),
    )
