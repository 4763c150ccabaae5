"""The early exits that a model describes in its own metadata: reading them, and checking that they fit."""

import json
from collections.abc import Mapping
from typing import Annotated, TypeAlias

import onnx_ir as ir
from pydantic import Field, TypeAdapter, ValidationError

from splitnet.config import Frozen, describe
from splitnet.errors import ModelError
from splitnet.package import CalibrationEntry
from splitnet.tensors import BATCH, TensorSpec

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


_Exits: TypeAlias = tuple[ExitDescription, ...]


def describe_exits(model: ir.Model) -> tuple[ExitDescription, ...]:
    """Read the exits that the model's metadata describe; () where it describes none.

    Raises:
        ModelError: the metadata are malformed or name an output that the model does not have.
    """
    text = model.metadata_props.get(METADATA_KEY)
    if text is None:
        return ()
    try:
        exits = TypeAdapter(_Exits).validate_python(json.loads(text))
    except ValidationError as err:
        raise ModelError(f"metadata {METADATA_KEY!r}: {describe(err, _Exits)}") from err
    except json.JSONDecodeError as err:
        raise ModelError(f"metadata {METADATA_KEY!r}: not JSON: {err}") from err
    names = {value.name for value in model.graph.outputs}
    for index, entry in enumerate(exits):
        if unknown := {*entry.tensors, *entry.outputs} - names:
            raise ModelError(
                f"metadata {METADATA_KEY!r}: exit {index} names {sorted(unknown)}, which the model does not answer"
            )
    return exits


def check_exits(
    exits: tuple[ExitDescription, ...], specs: Mapping[str, TensorSpec], outputs: tuple[TensorSpec, ...]
) -> None:
    """Check that each exit answers what the model answers, in the same form, with one confidence a sample.

    Args:
        exits: as described.
        specs: all of the model's outputs, by name.
        outputs: those that belong to no exit.

    Raises:
        ModelError: an exit leaves an output out, or a type or shape differs; the message names it.
    """
    for index, entry in enumerate(exits):
        where = f"metadata {METADATA_KEY!r}: exit {index}"
        if entry.outputs.keys() != {spec.name for spec in outputs}:
            raise ModelError(
                f"{where} stands for {sorted(entry.outputs)}; expected {sorted(spec.name for spec in outputs)}"
            )
        for spec in outputs:
            early = specs[entry.outputs[spec.name]]
            if (early.dtype, early.shape) != (spec.dtype, spec.shape):
                raise ModelError(
                    f"{where}: {early.name!r} is {early.dtype}{list(early.shape)}; "
                    f"expected {spec.dtype}{list(spec.shape)} like {spec.name!r}"
                )
        confidence = specs[entry.confidence]
        if not confidence.dtype.startswith("float") or confidence.shape not in ((BATCH,), (BATCH, 1)):
            raise ModelError(
                f"{where}: confidence {confidence.name!r} is {confidence.dtype}{list(confidence.shape)}; "
                "expected one floating-point number a sample, ['batch']"
            )
