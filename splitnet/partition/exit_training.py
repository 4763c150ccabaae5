"""Exits for a classifier that brings none: heads trained on a part of the calibration samples, and attached."""

import json
import logging
from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from splitnet.errors import InvalidArgumentError, ModelError
from splitnet.graph import model_bytes
from splitnet.learn.heads import (
    Answers,
    Candidate,
    Division,
    Ending,
    Fitting,
    Place,
    attach,
    choose,
    divide,
    ending_of,
    most_heads,
    places_for,
    samples_needed,
    train_heads,
)
from splitnet.onnx_session import OnnxSession
from splitnet.partition.exit_heads import Exits
from splitnet.partition.exit_metadata import METADATA_KEY, ExitDescription, describe_exits
from splitnet.partition.options import PartitionOptions
from splitnet.partition.whole import WholeModel
from splitnet.samples import Samples, check_labels
from splitnet.tensors import Array, Tensors

_log = logging.getLogger(__name__)

#: All heads together are trained for at most so long; running the model on the samples comes on top.
TRAINING_S = 60.0
# The half of the samples that thresholds are chosen on; more where there are few, but never more than this share.
_HELD_OUT = 0.5
_MOST_HELD_OUT = 0.75
# An exit that answers fewer is hardly of use, before it has learned more on the device.
_LEAST_SHARE = 0.05
# Fewer samples are learned by heart.
_LEAST_TRAINING = 64
# What the kept features may take of memory together.
_MOST_BYTES = 512 * 2**20
_BATCH = 32
# Of the training's progress, running the samples counts for so much.
_RUNNING = 0.3


def lacks_exits(model: ir.Model, options: PartitionOptions) -> bool:
    """Whether the job is to train exits, and `model` describes none."""
    return options.trainable != "none" and options.use_exits and not describe_exits(model)


def with_trained_exits(
    model: ir.Model,
    samples: Samples,
    options: PartitionOptions,
    *,
    on_progress: Callable[[float], None] = lambda _share: None,
) -> WholeModel:
    """Train exit heads for `model`, attach them and describe them in its metadata.

    Args:
        model: a classifier without exits, as `load_model` returns it; changed in place.
        samples: calibration data; those that train a head are used for nothing else.
        options: the job: its cuts, epsilon, delta and seed.
        on_progress: called with the share of the work that is done, 0.0 to 1.0.

    Returns:
        The model with its exits, and as its samples those that no head has seen.

    Raises:
        InvalidArgumentError: there are no calibration data, too few of them, or labels that are no classes.
        ModelError: the model is no classifier that can be given exits, or makes NaN of samples.
    """
    parts = _divided(samples, options)
    whole = WholeModel(model, parts.training)
    ending = ending_of(model)
    places = places_for(model, ending, options.cuts)
    check_labels(samples, ending.classes)
    features, logits = _observe(whole, places, ending, lambda share: on_progress(share * _RUNNING))
    ending = ending.judged_by(logits)
    labels = parts.training.labels
    answers = Answers(ending.likely(logits), None if labels is None else labels[: len(logits)])
    candidates = train_heads(
        places,
        features,
        answers,
        fitting=Fitting(TRAINING_S, options.seed),
        on_progress=lambda share: on_progress(_RUNNING + share * (1 - _RUNNING)),
    )
    chosen = _chosen(candidates, parts.held_out.count, options)
    attached = attach(model, ending, [candidate.head for candidate in chosen])
    described = [ExitDescription(outputs=one.outputs, confidence=one.confidence) for one in attached]
    model.metadata_props[METADATA_KEY] = json.dumps([one.model_dump(exclude_none=True) for one in described])
    return WholeModel(model, parts.held_out)


def report_exits(described: Sequence[ExitDescription], exits: Exits) -> None:
    """Log what became of the exits that were trained here: how many samples they answer, or that they go."""
    kept = {head.confidence: head for head in exits.heads}
    for entry in described:
        head = kept.get(entry.confidence)
        if head is None or head.calibration is None:
            _log.warning(
                "the exit %s is dropped: on samples that did not train it no threshold keeps to what leaving may "
                "cost; give more --calibration samples, or a larger --epsilon",
                entry.confidence,
            )
        else:
            _log.log(
                logging.INFO if head.calibration.share >= _LEAST_SHARE else logging.WARNING,
                "the exit %s answers %.1f %% of %d samples that did not train it",
                entry.confidence,
                100 * head.calibration.share,
                head.calibration.n,
            )


def _divided(samples: Samples, options: PartitionOptions) -> Division:
    """Keep enough samples from the heads for the threshold of one of them."""
    if options.calibration is None:
        raise InvalidArgumentError(
            "the model has no exits: give --calibration data to train one, or describe its exits (docs/exits.md)"
        )
    if all(spec.batch_axis is None for spec in samples.specs):
        raise ModelError(
            "the model takes one sample at a time, and no exit can be trained: export it with an open batch"
        )
    needed = samples_needed(1, epsilon=options.epsilon, delta=options.delta)
    least = max(needed + _LEAST_TRAINING, round(needed / _MOST_HELD_OUT))
    if samples.count < least:
        raise InvalidArgumentError(
            f"training an exit takes {least} calibration samples, {needed} of them kept from it to choose its "
            f"threshold at --epsilon {options.epsilon:g}; got {samples.count}: give more, or a larger --epsilon"
        )
    return divide(samples, held_out=max(needed, round(_HELD_OUT * samples.count)), seed=options.seed)


def _observe(
    whole: WholeModel, places: Sequence[Place], ending: Ending, on_progress: Callable[[float], None]
) -> tuple[Tensors, NDArray[np.float32]]:
    """Return what the samples of `whole` make of each place's features, and their logits `[n, classes]`."""
    sessions = {
        place.tensor: OnnxSession(model_bytes(place.form.model()), name=f"features of {place.tensor!r}")
        for place in places
    }
    count = min(whole.samples.count, _MOST_BYTES // (4 * sum(place.form.features for place in places)))
    kept: dict[str, list[Array]] = {name: [] for name in (*sessions, ending.logits)}
    seen = 0
    for made in whole.values(list(kept), count=count, batch=_BATCH):
        for name, array in made.items():
            kept[name].append(sessions[name].run({name: array})["features"] if name in sessions else array)
        seen += len(made.get(ending.logits, ()))
        on_progress(seen / count)
    values = {name: np.concatenate(arrays) for name, arrays in kept.items()}
    if wrong := [name for name, array in values.items() if not np.isfinite(array).all()]:
        raise ModelError(
            f"tensor {wrong[0]!r} holds NaN or infinity on calibration samples: no exit can learn from it"
        )
    return values, values[ending.logits]


def _chosen(candidates: Sequence[Candidate], held_out: int, options: PartitionOptions) -> list[Candidate]:
    """Return the heads to attach: of cuts by hand the device's first, else those that save most."""
    most = most_heads(held_out, epsilon=options.epsilon, delta=options.delta)
    trials = [candidate.trial for candidate in candidates]
    indices = range(len(candidates))[:most] if options.cuts else choose(trials, most=most, epsilon=options.epsilon)
    for candidate in (candidates[index] for index in indices):
        trial = candidate.trial
        _log.info(
            "an exit was trained at %s, behind %.0f %% of the work: as good as the model on %.1f %% of samples",
            candidate.place.tensor,
            100 * trial.share,
            100 * (1 - trial.costly.mean()),
        )
    return [candidates[index] for index in indices]
