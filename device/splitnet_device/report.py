"""What a run over a file of samples came to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from splitnet.tensors import Array
from splitnet.tiers import TIERS


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of the time from submitting a sample to its answer, milliseconds."""

    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a run.

    Attributes:
        answers: samples that were answered.
        errors: samples that were not.
        fallbacks: answered samples for which a shallower exit stood in.
        exits: answered samples by who answered: the tiers, and "backup" and "cache" where these did.
        latency_ms: over the answered samples; None when there are none.
        seconds: from the first submission to the last answer.
        samples_per_s: answered samples over that time.
        accuracy: share of all samples answered with their label; None without labels, or where the model has
            no output of shape [batch, classes].
        emulated_speed: the fraction of this machine's speed that the device was emulated at; None if it was not.
    """

    answers: int
    errors: int
    fallbacks: int
    exits: dict[str, int]
    latency_ms: Latency | None
    seconds: float
    samples_per_s: float
    accuracy: float | None
    emulated_speed: float | None

    def to_json(self) -> dict[str, object]:
        """Return the figures as JSON's types; `accuracy` and `emulated_speed` only where there are any."""
        fields = asdict(self)
        absent = [name for name in ("accuracy", "emulated_speed") if fields[name] is None]
        for name in absent:
            del fields[name]
        return fields


@dataclass(frozen=True, slots=True)
class Outcome:
    """One sample's end: who answered (None for an error), why a fallback did, and when."""

    exit: str | None
    fallback: str
    latency_ms: float
    predicted: int | None = None


def summarise(
    outcomes: Sequence[Outcome], labels: Array | None, seconds: float, *, emulated_speed: float | None
) -> Report:
    """Sum up a run.

    Args:
        outcomes: one a sample, in the samples' order.
        labels: `[n]` integers, or None.
        seconds: how long the run took.
        emulated_speed: as in the configuration.
    """
    answered = [outcome for outcome in outcomes if outcome.exit is not None]
    by_exit = Counter(outcome.exit for outcome in answered if outcome.exit is not None)
    accuracy = None
    if labels is not None:
        pairs = zip(outcomes, labels.tolist(), strict=True)
        accuracy = sum(outcome.predicted == label for outcome, label in pairs) / len(outcomes)
    return Report(
        answers=len(answered),
        errors=len(outcomes) - len(answered),
        fallbacks=sum(bool(outcome.fallback) for outcome in answered),
        exits=dict.fromkeys(TIERS, 0) | dict(sorted(by_exit.items())),
        latency_ms=_latency([outcome.latency_ms for outcome in answered]),
        seconds=seconds,
        samples_per_s=len(answered) / seconds if seconds > 0 else 0.0,
        accuracy=accuracy,
        emulated_speed=emulated_speed,
    )


def _latency(milliseconds: list[float]) -> Latency | None:
    if not milliseconds:
        return None
    p50, p90, p99 = np.percentile(milliseconds, [50, 90, 99]).tolist()
    return Latency(p50, p90, p99, max(milliseconds))
