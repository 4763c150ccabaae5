"""A device's training in a round: from the server's task to what it will add to the sum."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from splitnet.errors import ConfigError, PeerProtocolError
from splitnet.learn.legs import PARAMETERS, LegMessage, Task
from splitnet.learn.local import LocalJob, LocalUpdate
from splitnet.learn.settings import FederatedSettings
from splitnet.learn.sum_plan import is_private, most_weight
from splitnet.learn.vector import Vector, model_digest, size
from splitnet.package import TrainingEntry, read_manifest
from splitnet_device.federated.policy import FederatedConfig

#: Runs a job within so many seconds: `run_training` does so in a process of its own.
Trainer = Callable[[LocalJob, float], LocalUpdate]


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What a device adds to a sum, apart from noise.

    Attributes:
        delta: update, clipped, float32 `[d]`.
        weight: its say in the mean.
        metrics: sums over samples, divided by `weight`; none with differential privacy.
    """

    delta: Vector
    weight: int
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A task that was checked against the device's own package.

    Attributes:
        task: as the server sent it.
        parameters: that training begins with, float32 `[d]`.
        model_digest: of the package's training and these parameters, 32 bytes.
    """

    task: Task
    parameters: Vector
    model_digest: bytes


def read_lesson(message: LegMessage, config: FederatedConfig) -> Lesson:
    """Read the message of the legs "update" and "plain".

    Raises:
        PeerProtocolError: it is malformed, or its parameters are not those of the package's training.
        ConfigError: nothing in the device's package is trainable.
        PackageError: the package is damaged, or not signed as it must be.
    """
    task, training = message.read(Task), _training(config)
    vector = message.vectors.get(PARAMETERS)
    d = size(training.parameters)
    if vector is None or vector.dtype != "float32" or vector.shape != (d,):
        raise PeerProtocolError(f"parameters: expected float32 [{d}], as this device's package has them")
    return Lesson(task, vector, model_digest(training, vector))


def learn(lesson: Lesson, config: FederatedConfig, *, state: Path, trainer: Trainer) -> Learned:
    """Train, and weigh the update.

    Args:
        lesson: what to train on top of.
        config: of the device.
        state: directory for the optimiser's state.
        trainer: runs the job.

    Raises:
        SplitNetError: as `trainer` raises.
    """
    settings = lesson.task.settings
    job = LocalJob(
        package=config.package,
        store=config.store,
        parameters=lesson.parameters,
        settings=settings.local,
        clip=settings.clip,
        seed=settings.seed,
        round=lesson.task.place.round,
        most_samples=settings.most_samples,
        state=state,
        package_key=config.package_key,
    )
    update = trainer(job, min(config.training_s, settings.leg_s))
    weight = min(update.samples, most_weight(settings))
    return Learned(update.delta, weight, _metrics(settings, dict(update.metrics), weight))


def _metrics(settings: FederatedSettings, sums: dict[str, float], weight: int) -> dict[str, float]:
    return {} if is_private(settings) else {name: value / weight for name, value in sums.items()}


def _training(config: FederatedConfig) -> TrainingEntry:
    entries = read_manifest(config.package, config.package_key).training
    if not entries:
        raise ConfigError(f"{config.package}: nothing in it is trainable; partition with --trainable exits")
    return entries[0]
