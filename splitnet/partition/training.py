"""What a package can train on its device: the exit of the device's segment, by graphs written here."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from splitnet.errors import InvalidArgumentError
from splitnet.graph.dataflow import DataFlow
from splitnet.graph.values import name_of
from splitnet.learn.step import Subject, TrainingGraphs, training_graphs
from splitnet.package import FeaturesEntry, HeldOutEntry, StepEntry, TensorEntry, TrainingEntry, state_of
from splitnet.partition.analysis import Analysis
from splitnet.partition.exit_metadata import ExitDescription
from splitnet.partition.options import PartitionOptions
from splitnet.partition.segments import BuiltPlan
from splitnet.tensors import BATCH

# Samples whose scores say whether they are probabilities.
_OBSERVED = 64
# How far the sum of probabilities may be from 1: float32 rounding over a few thousand classes, and no more.
_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class Training:
    """The entry of a training, and its files by path."""

    entry: TrainingEntry
    files: Mapping[str, bytes]


def check_exit(options: PartitionOptions, analysis: Analysis) -> None:
    """Raise InvalidArgumentError, before anything is measured, where the model has no exit to be trained."""
    if options.trainable != "none" and not analysis.exits.heads:
        raise InvalidArgumentError(
            f"--trainable {options.trainable}: the model has no exit with a threshold; describe its exits in its "
            "metadata (docs/exits.md) and give --calibration, or leave --trainable out"
        )


def training_of(options: PartitionOptions, analysis: Analysis, plan: BuiltPlan) -> Training | None:
    """Return the training of the device's segment in the default plan; None where none was asked for.

    Args:
        options: the job.
        analysis: the model.
        plan: the default one; its device's segment is called "device".

    Raises:
        InvalidArgumentError: the device has no exit in this plan.
        ModelError: the exit cannot be trained; the operator or tensor in the way is named.
    """
    if options.trainable == "none":
        return None
    segment = plan.segment_of("device")
    if segment is None or segment.exit is None:
        raise _without_exit(options, plan)
    scores = _scores(analysis, segment.exit)
    subject = Subject(
        analysis.model,
        scores,
        _are_probabilities(analysis, scores),
        options.trainable,
        _others(analysis, segment.exit) if options.trainable == "exits" else frozenset(),
    )
    return _packed(subject, training_graphs(subject), _held_out(options, analysis))


def _without_exit(options: PartitionOptions, plan: BuiltPlan) -> InvalidArgumentError:
    tiers = " and ".join(segment.tier for segment in plan.segments)
    remedy = "cut behind one of the model's exits" if options.cuts else "give --place split, or cut behind an exit"
    return InvalidArgumentError(
        f"--trainable {options.trainable}: the plan computes on {tiers}, with no exit on the device to learn; "
        + remedy
    )


def _scores(analysis: Analysis, head: ExitDescription) -> str:
    """The exit's answer of shape `[batch, classes]`."""
    for name in head.outputs.values():
        spec = analysis.specs.get(name)
        if spec is not None and len(spec.shape) == 2 and spec.shape[0] == BATCH and spec.shape[1] != 1:
            return name
    raise InvalidArgumentError(
        f"--trainable: the exit with confidence {head.confidence!r} answers {sorted(head.outputs.values())}, and "
        "none of them is [batch, classes]; only classifiers can be trained"
    )


def _are_probabilities(analysis: Analysis, scores: str) -> bool:
    """Whether the scores of samples are not negative and add up to 1."""
    rows = analysis.whole.answers(min(_OBSERVED, analysis.samples.count))[scores]
    return bool((rows >= 0).all() and np.allclose(rows.sum(axis=1), 1, rtol=0, atol=_ROUNDING))


def _others(analysis: Analysis, head: ExitDescription) -> frozenset[str]:
    """The nodes that lead to something else than this exit."""
    flow = DataFlow(analysis.model)
    ends = [value for value in analysis.model.graph.outputs if value.name not in head.tensors]
    return frozenset(name_of(node) for node in flow.ancestors(ends))


def _held_out(options: PartitionOptions, analysis: Analysis) -> HeldOutEntry | None:
    if not analysis.trained_exits or options.calibration is None:
        return None
    with options.calibration.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return HeldOutEntry(sha256=digest, samples=analysis.samples.count, seed=options.seed)


def _packed(subject: Subject, graphs: TrainingGraphs, held_out: HeldOutEntry | None) -> Training:
    files = {f"train/{optimiser}.onnx": content for optimiser, content in graphs.steps.items()}
    inputs = tuple(TensorEntry.from_spec(spec) for spec in graphs.inputs)
    features = None
    if graphs.features is not None:
        files["train/features.onnx"] = graphs.features
        features = FeaturesEntry(**_file("train/features.onnx", graphs.features), outputs=inputs)
    steps = tuple(
        StepEntry(
            **_file(f"train/{optimiser}.onnx", content),
            optimiser=optimiser,
            state=state_of(optimiser, graphs.parameters),
        )
        for optimiser, content in graphs.steps.items()
    )
    entry = TrainingEntry(
        segment="device",
        scope=subject.scope,
        output=subject.scores,
        scores="probabilities" if subject.probabilities else "logits",
        classes=graphs.classes,
        features=features,
        inputs=inputs,
        parameters=graphs.parameters,
        steps=steps,
        held_out=held_out,
    )
    return Training(entry, files)


def _file(path: str, content: bytes) -> dict[str, Any]:
    return {"file": path, "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
