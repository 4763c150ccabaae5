"""The thresholds of a model's early exits, and how many samples they keep."""

import itertools
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splitnet.exits import leaves
from splitnet.exits.heads import calibrate, confidence_of
from splitnet.package import CalibrationEntry
from splitnet.partition.exit_metadata import ExitDescription
from splitnet.tensors import Array, Tensors

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Exits:
    """The exits that a plan may attach.

    Attributes:
        heads: in order of depth, each with a threshold.
        survival: share of samples that leave at none of a set of exits, by indices.
        estimated: whether `survival` is derived from the model's metadata instead of measured.
    """

    heads: tuple[ExitDescription, ...]
    survival: Mapping[frozenset[int], float]
    estimated: bool


NO_EXITS = Exits((), {frozenset(): 1.0}, estimated=False)


def calibrated(
    exits: tuple[ExitDescription, ...], outputs: Tensors, labels: Array | None, *, epsilon: float, delta: float
) -> Exits:
    """Choose thresholds on calibration data and measure who would leave.

    Each exit gets an equal part of `epsilon` and of `delta`, so that whichever of them a plan attaches, all
    together cost at most `epsilon` of accuracy with probability 1 - `delta` (union bound). Without labels the
    last exit's answer counts as right.

    Args:
        exits: as described, in order of depth.
        outputs: what the whole model answered on the calibration samples, exits included.
        labels: `[n]` integers, or None.
        epsilon: share of samples that may be answered wrongly at an exit and rightly at the last.
        delta: the probability with which `epsilon` may be exceeded all the same.
    """
    heads, leaving = [], []
    parts = max(1, len(exits))
    for entry in exits:
        chosen = calibrate(entry, outputs, labels, epsilon=epsilon / parts, delta=delta / parts)
        if chosen is not None:
            record = CalibrationEntry.model_validate(chosen.promise())
            heads.append(entry.model_copy(update={"threshold": chosen.threshold, "calibration": record}))
            leaving.append(leaves(confidence_of(entry, outputs), chosen.threshold))
    return Exits(tuple(heads), _survival(leaving), estimated=False)


def from_metadata(exits: tuple[ExitDescription, ...]) -> Exits:
    """Use the thresholds that the model brings, and estimate who leaves from the recorded shares.

    Deeper exits are taken to keep whatever a shallower one would have answered, so a pair answers for the
    larger of its two shares.
    """
    heads = tuple(entry for entry in exits if entry.threshold is not None and entry.calibration is not None)
    if len(heads) < len(exits):
        logger.warning(
            "%d of %d exits bring no threshold with its calibration, and are not used: give --calibration",
            len(exits) - len(heads),
            len(exits),
        )
    shares = [entry.calibration.share for entry in heads if entry.calibration is not None]
    survival = {frozenset[int](): 1.0} | {frozenset({i}): 1.0 - share for i, share in enumerate(shares)}
    for a, b in itertools.combinations(range(len(shares)), 2):
        survival[frozenset({a, b})] = 1.0 - max(shares[a], shares[b])
    return Exits(heads, survival, estimated=True)


def _survival(leaving: list[NDArray[np.bool_]]) -> dict[frozenset[int], float]:
    survival = {frozenset[int](): 1.0}
    for size in (1, 2):
        for chosen in itertools.combinations(range(len(leaving)), size):
            gone = np.logical_or.reduce([leaving[index] for index in chosen])
            survival[frozenset(chosen)] = float(1.0 - gone.mean())
    return survival
