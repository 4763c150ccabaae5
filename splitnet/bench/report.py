"""Report: a run's figures, LoadGen's and our own."""

from dataclasses import asdict, dataclass
from typing import Any

from splitnet.bench.load import Load, Scenario
from splitnet.bench.tally import Tally
from splitnet.bench.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Report:
    """One run, MLPerf-style; no official result.

    Attributes:
        scenario: how queries came.
        mode: "performance", or "accuracy" where every sample was asked for once.
        loadgen: its version.
        valid: whether LoadGen takes the run for valid and every sample was answered; None in "accuracy".
        invalid_reasons: why it is not.
        queries: how many LoadGen made; 0 in "accuracy", where it does not say.
        seconds: from the first sample's start to the last end.
        samples_per_s: answered samples over that time.
        latency_ms: by percentile and "max", as LoadGen measured; empty in "accuracy".
        answers: samples that were answered.
        errors: samples that were not.
        first_error: why the first of these was not; "" where there are none.
        exits: answered samples by the tier that answered; "unsaid" where a foreign server does not tell.
        fallbacks: those for which a shallower exit stood in, by the tier that answered.
        accuracy: share of the samples asked for that were answered with their label; None without labels.
    """

    scenario: Scenario
    mode: str
    loadgen: str
    valid: bool | None
    invalid_reasons: tuple[str, ...]
    queries: int
    seconds: float
    samples_per_s: float
    latency_ms: dict[str, float]
    answers: int
    errors: int
    first_error: str
    exits: dict[str, int]
    fallbacks: dict[str, int]
    accuracy: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON's types; `valid` and `accuracy` only where there are any."""
        fields = asdict(self) | {"invalid_reasons": list(self.invalid_reasons), "official": False}
        return {name: value for name, value in fields.items() if value is not None}


def summarise(load: Load, tally: Tally, verdict: Verdict) -> Report:
    """Put together what LoadGen measured and what became of the samples."""
    reasons = verdict.reasons
    if tally.errors:
        reasons = (f"{tally.errors} of {tally.ended} samples got no answer", *reasons)
    return Report(
        scenario=load.scenario,
        mode="accuracy" if load.accuracy else "performance",
        loadgen=verdict.version,
        valid=None if verdict.valid is None else verdict.valid and not tally.errors,
        invalid_reasons=reasons,
        queries=verdict.queries,
        seconds=tally.seconds,
        samples_per_s=tally.answers / tally.seconds if tally.seconds else 0.0,
        latency_ms=verdict.latency_ms,
        answers=tally.answers,
        errors=tally.errors,
        first_error=tally.first_error,
        exits=_named(tally.exits),
        fallbacks=_named(tally.fallbacks),
        accuracy=tally.accuracy,
    )


def _named(counts: dict[str, int]) -> dict[str, int]:
    return {tier or "unsaid": count for tier, count in sorted(counts.items())}
