"""A round's training: from the device's samples to its clipped update."""

import math

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import ConfigError, NotFoundError
from splitnet.learn.local.examples import Examples, hold_out, load_examples
from splitnet.learn.local.job import LocalJob, LocalUpdate
from splitnet.learn.local.metrics import Judged, judge
from splitnet.learn.local.optimiser import StepGraph, Training
from splitnet.learn.local.refusals import another_model, not_finite
from splitnet.learn.local.state import read_state, write_state
from splitnet.learn.store import SampleStore
from splitnet.learn.vector import Vector, size
from splitnet.package import Package, TrainingEntry, open_package


def train(job: LocalJob) -> LocalUpdate:
    """Train in this process; `run_training` does so in one of its own.

    Raises:
        NotFoundError: there is no package or store, or too few samples to learn from: nothing can come of it.
        ConfigError: nothing in the package is trainable, or the store holds another model's samples.
        RefusalError: NaN or infinity in the global parameters, the loss or the update (not-finite), or the global
            parameters are not this package's (another-model).
        SplitNetError: the package or the store is damaged, or the package is not signed as it must be.
    """
    package = open_package(job.package, job.package_key)
    training = _trainable(package)
    _check_start(job, training)
    with SampleStore(job.store) as store:
        examples, skipped = load_examples(package, training, store, most=job.most_samples, seed=job.seed)
    if len(examples) < job.settings.least_samples:
        raise NotFoundError(
            f"{job.store}: {len(examples)} samples to learn from ({skipped} more have NaN or infinity in them); "
            f"the job asks for at least {job.settings.least_samples}"
        )
    taught, judged = hold_out(examples, job.seed)
    graph = StepGraph(package, training, job.settings)
    delta = _clipped(_learn(graph, taught, job) - job.parameters.astype(np.float64), job.clip)
    exit_entry = package.manifest.exit_of(training.segment)
    threshold = math.inf if exit_entry is None else exit_entry.threshold
    before, after = (
        _judged(graph, judged, vector, threshold) for vector in (job.parameters, job.parameters + delta)
    )
    return LocalUpdate(delta, len(taught), _metrics(len(judged), before, after), skipped)


def _trainable(package: Package) -> TrainingEntry:
    if not package.manifest.training:
        raise ConfigError(
            f"{package.path}: nothing in it is trainable; make it with `splitnet partition --trainable exits`"
        )
    return package.manifest.training[0]


def _check_start(job: LocalJob, training: TrainingEntry) -> None:
    expected = size(training.parameters)
    if job.parameters.shape != (expected,) or job.parameters.dtype != np.float32:
        got = f"{job.parameters.dtype} {list(job.parameters.shape)}"
        raise another_model(f"global parameters: {job.package} has float32 [{expected}], got {got}")
    if not np.isfinite(job.parameters).all():
        raise not_finite("global parameters: NaN or infinity in them")


def _learn(graph: StepGraph, taught: Examples, job: LocalJob) -> NDArray[np.float64]:
    """Return the parameters after all epochs, float64 [d], and leave the optimiser's state to the next round."""
    settings = job.settings
    training = Training(graph, job.parameters, read_state(job.state, graph))
    rng = np.random.default_rng((job.seed % 2**63, job.round))
    for _ in range(settings.epochs):
        order = rng.permutation(len(taught))
        for start in range(0, len(taught), settings.batch):
            batch = taught.take(order[start : start + settings.batch])
            training.step(batch, learning_rate=settings.learning_rate)
    trained = training.vector.astype(np.float64)
    if not np.isfinite(trained).all() or not all(np.isfinite(each).all() for each in training.state.values()):
        raise not_finite("training: NaN or infinity in the parameters; lower learning_rate")
    write_state(job.state, graph, training.state)
    return trained


def _clipped(delta: NDArray[np.float64], clip: float) -> Vector:
    """Return `delta` as float32, scaled down where its norm exceeds `clip`: never above, even by rounding."""
    norm = math.sqrt(float(delta @ delta))
    clipped: Vector = (delta * (clip / norm) if norm > clip else delta).astype(np.float32)
    while math.sqrt(float(np.square(clipped, dtype=np.float64).sum())) > clip:
        clipped = np.nextafter(clipped, np.float32(0))
    if not np.isfinite(clipped).all():
        raise not_finite("update: NaN or infinity in it")
    return clipped


def _judged(graph: StepGraph, examples: Examples, vector: Vector, threshold: float) -> Judged:
    scores = graph.scores(vector, examples)
    if not np.isfinite(scores).all():
        raise not_finite("training: the exit's scores are NaN or infinite on this device's samples")
    return judge(scores, examples, kind=graph.training.scores, threshold=threshold)


def _metrics(counted: int, before: Judged, after: Judged) -> dict[str, float]:
    return {
        "counted": float(counted),
        "loss_sum_before": before.loss,
        "loss_sum_after": after.loss,
        "right_before": float(before.right),
        "right_after": float(after.right),
        "leaving_before": float(before.leaving),
        "leaving_after": float(after.leaving),
    }
