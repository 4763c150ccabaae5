"""The early exits of a model: where they are described, their thresholds, and how many samples they keep."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from splitnet.config import Frozen, describe
from splitnet.errors import ModelError
from splitnet.exits import leaves
from splitnet.exits.calibrate import choose_threshold
from splitnet.package import CalibrationEntry
from splitnet.tensors import Array, Tensors

#: Key of an ONNX model's metadata under which it describes its exits, as JSON (docs/exits.md).
METADATA_KEY = "splitnet.exits"


class ExitDescription(Frozen):
    """One entry of the model's metadata, in order of depth.

    Attributes:
        outputs: for each of the model's own outputs, the exit's output that stands for it.
        confidence: the exit's output that is held against the threshold.
        threshold: the confidence from which the exit answers; None until it is calibrated.
        calibration: how the threshold was chosen.
    """

    outputs: dict[str, str] = Field(min_length=1)
    confidence: Annotated[str, Field(min_length=1)]
    threshold: float | None = None
    calibration: CalibrationEntry | None = None

    @property
    def tensors(self) -> tuple[str, ...]:
        """The exit's outputs, the confidence among them, each once."""
        return tuple(dict.fromkeys((*self.outputs.values(), self.confidence)))


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


def describe_exits(model: ir.Model) -> tuple[ExitDescription, ...]:
    """Read the exits that the model's metadata describe; () where it describes none.

    Raises:
        ModelError: the metadata are malformed or name an output that the model does not have.
    """
    text = model.metadata_props.get(METADATA_KEY)
    if text is None:
        return ()
    try:
        exits = TypeAdapter(tuple[ExitDescription, ...]).validate_python(json.loads(text))
    except ValidationError as err:
        raise ModelError(f"metadata {METADATA_KEY!r}: {describe(err)}") from err
    except json.JSONDecodeError as err:
        raise ModelError(f"metadata {METADATA_KEY!r}: not JSON: {err}") from err
    names = {value.name for value in model.graph.outputs}
    for index, entry in enumerate(exits):
        if unknown := {*entry.tensors, *entry.outputs} - names:
            raise ModelError(
                f"metadata {METADATA_KEY!r}: exit {index} names {sorted(unknown)}, which the model does not answer"
            )
    return exits


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
        right, final_right = _right(entry, outputs, labels)
        confidence = outputs[entry.confidence].reshape(-1).astype(np.float32)
        chosen = choose_threshold(confidence, right, final_right, epsilon=epsilon / parts, delta=delta / parts)
        if chosen is not None:
            record = CalibrationEntry(
                epsilon=chosen.epsilon,
                delta=chosen.delta,
                n=chosen.n,
                method=chosen.method,
                bound=chosen.bound,
                share=chosen.share,
            )
            heads.append(entry.model_copy(update={"threshold": chosen.threshold, "calibration": record}))
            leaving.append(leaves(confidence, chosen.threshold))
    return Exits(tuple(heads), _survival(leaving), estimated=False)


def from_metadata(exits: tuple[ExitDescription, ...]) -> Exits:
    """Use the thresholds that the model brings, and estimate who leaves from the recorded shares.

    Deeper exits are taken to keep whatever a shallower one would have answered, so a pair answers for the
    larger of its two shares.
    """
    heads = tuple(entry for entry in exits if entry.threshold is not None and entry.calibration is not None)
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


def _right(entry: ExitDescription, outputs: Tensors, labels: Array | None) -> tuple[Array, Array]:
    """Whether the exit and the last exit are right on each sample, by the first output of [batch, classes]."""
    answer = next((name for name in entry.outputs if outputs[name].ndim == 2), None)
    if answer is None:
        raise ModelError(
            f"exit {entry.confidence!r}: none of {sorted(entry.outputs)} is of shape [batch, classes]; "
            "only classifiers can be calibrated"
        )
    final, early = (outputs[name].argmax(axis=1) for name in (answer, entry.outputs[answer]))
    truth = final if labels is None else labels
    return early == truth, final == truth
