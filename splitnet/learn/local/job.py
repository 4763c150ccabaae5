"""What a device is asked to train, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from splitnet.learn.settings import LocalSettings
from splitnet.learn.vector import Vector

#: A sample's cross-entropy counts for at most so many nats, so that no sum has to make room for more.
MOST_LOSS = 30.0

#: The metrics of an update, each a sum over `counted` samples, and the most that one sample adds (0 is the least).
METRICS: Mapping[str, float] = MappingProxyType(
    {
        "counted": 1.0,
        "loss_sum_before": MOST_LOSS,
        "loss_sum_after": MOST_LOSS,
        "right_before": 1.0,
        "right_after": 1.0,
        "leaving_before": 1.0,
        "leaving_after": 1.0,
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class LocalJob:
    """One round's training on one device.

    Attributes:
        package: directory of the package.
        store: file of the samples.
        parameters: where training starts, the global model of the round: float32 [d].
        settings: how to train.
        clip: largest Euclidean norm of the update.
        seed: of the samples held out, of the draw and the order of the others. The same in every round of a job,
            so that what is held out in one round is not trained on in the next.
        round: gives each round an order of its own.
        most_samples: draw so many where the store has more; None takes all.
        state: a directory in which the optimiser's state is kept from round to round; None starts it from zeros.
        package_key: the public key that the package must be signed with; None takes an unsigned one.
    """

    package: Path
    store: Path
    parameters: Vector
    settings: LocalSettings
    clip: float
    seed: int = 0
    round: int = 0
    most_samples: int | None = None
    state: Path | None = None
    package_key: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LocalUpdate:
    """What a device learned.

    Attributes:
        delta: trained less global parameters, float32 [d], scaled down to the clip.
        samples: how many were trained on; never less than any metric's `counted`.
        metrics: by the names of `METRICS`, before and after adding `delta`.
        skipped: samples that were left out for NaN or infinity in them.
    """

    delta: Vector
    samples: int
    metrics: Mapping[str, float]
    skipped: int
