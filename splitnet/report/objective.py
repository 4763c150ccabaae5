"""The objective in words: what a choice is worth, and how two of them compare. Less is better for all four."""

from dataclasses import dataclass

from splitnet.report import quantities
from splitnet.report.data import Choice, Report

#: Values whose difference is a smaller share than this count as equal.
_EQUAL = 0.005
#: Gaps below this share are the solver's tolerance: the plan is the optimum.
PROVED = 5e-4


@dataclass(frozen=True, slots=True)
class _Phrases:
    """How one objective is spoken of; texts but `what` hold a figure and precede the other's name."""

    what: str
    little_better: str
    better: str
    little_worse: str
    worse: str


def _amount(what: str, of: str) -> _Phrases:
    return _Phrases(
        what,
        f"{{}} less {of} than",
        f"{{}} times less {of} than",
        f"{{}} more {of} than",
        f"{{}} times the {of} of",
    )


_PHRASES: dict[str, _Phrases] = {
    "latency": _Phrases(
        "latency", "{} less time than", "{} times as fast as", "{} more time than", "{} times as long as"
    ),
    "throughput": _Phrases(
        "throughput",
        "{} more samples than",
        "{} times the samples of",
        "{} fewer samples than",
        "{} times fewer samples than",
    ),
    "energy": _amount("device energy", "energy"),
    "bytes": _amount("bytes sent", "data"),
}


def value_of(report: Report, choice: Choice) -> float | None:
    """Return what `choice` is worth in the report's objective and unit; None where unknown."""
    if choice.value is not None:
        return choice.value
    known = {"latency": choice.latency_ms, "energy": choice.energy_mj, "bytes": choice.bytes}
    return known.get(report.objective)


def spoken_value(report: Report, value: float) -> str:
    """Return a value of the objective for people, with what it is of."""
    if report.objective == "throughput":
        return f"{quantities.number(1000 / value)} samples a second" if value > 0 else "no work at all"
    if report.objective == "latency":
        return f"{quantities.time(value)} a sample"
    if report.objective == "energy":
        return f"{quantities.energy(value)} of the device's energy a sample"
    return f"{quantities.size(value)} sent a sample"


def what(report: Report) -> str:
    """Return the objective's name for people."""
    return _PHRASES[report.objective].what


def compared(report: Report, own: float, other: float) -> str:
    """Return how `own` compares with `other`, to be followed by the other's name: "1.6 times as fast as"."""
    phrases = _PHRASES[report.objective]
    best, worst = min(own, other), max(own, other)
    if worst - best <= _EQUAL * worst:
        return "as good as"
    if best <= 0:
        return "better than" if own < other else "worse than"
    if worst / best >= 1.2:
        return (phrases.better if own < other else phrases.worse).format(quantities.ratio(worst / best))
    # A throughput is the reciprocal of what is minimised.
    change = other / own - 1 if report.objective == "throughput" else own / other - 1
    return (phrases.little_better if own < other else phrases.little_worse).format(quantities.share(abs(change)))
