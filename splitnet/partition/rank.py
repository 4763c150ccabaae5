"""Running what was planned: the best plans and what stands beside them, in turns, before one is chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from splitnet.partition.choose import beside
from splitnet.partition.measure import Measured, measure
from splitnet.partition.search import Found, Search, computing, identity
from splitnet.partition.segments import build
from splitnet.plan import Placement

# Measured so close to one another, plans are equally good: the same plan differs by as much from run to run.
_AS_GOOD = 0.02


@dataclass(frozen=True, slots=True)
class Ranking:
    """What running plans led to.

    Attributes:
        best: the plan that is taken.
        tried: the plans that it was taken from, best first; empty where there was no choice.
        alternatives: the choices beside it by name, measured in the same rounds.
    """

    best: Found
    tried: tuple[Found, ...]
    alternatives: Mapping[str, Found]


def rank(search: Search, best: Found, alternatives: Mapping[str, Found]) -> Ranking:
    """Run the plans that were predicted best, and take the one that is.

    By hand or in one place there is one plan only, and energy and bytes are not measured: then the predicted best
    is taken, and run for the record.

    Args:
        search: of the job.
        best: the predicted optimum.
        alternatives: what to run beside it.
    """
    options = search.options
    is_open = not options.cuts and options.place in ("auto", "split")
    by_running = is_open and options.objective in ("latency", "throughput")
    candidates = search.near(best) if by_running else [best.solution.placement]
    every = [*candidates, *(found.solution.placement for found in alternatives.values())]
    figures = _run(search, {identity(one): one for one in every})
    measured = {
        name: replace(found, measured=figures[identity(found.solution.placement)])
        for name, found in alternatives.items()
    }
    if not by_running:
        return Ranking(replace(best, measured=figures[identity(best.solution.placement)]), (), measured)
    ordered = sorted(candidates, key=lambda one: figures[identity(one)].value)
    tried: list[Found] = []
    for placement in ordered:
        # A bottleneck is trained for a plan that may win, not for one that has lost.
        if not (tried and search.needs_training(placement)):
            found = search.check(beside(best.solution, placement))
            if found is not None:
                tried.append(replace(found, measured=figures[identity(placement)]))
    return Ranking(_simplest(tried), tuple(tried), measured)


def _simplest(tried: Sequence[Found]) -> Found:
    """Return the best as measured; of those that are as good, the one that computes on the fewest tiers."""
    values = [found.measured.value for found in tried if found.measured is not None]
    as_good = [
        found
        for found in tried
        if found.measured is not None and found.measured.value <= min(values) * (1 + _AS_GOOD)
    ]
    return min(as_good, key=lambda found: (computing(found.solution.placement), _latency_ms(found)))


def _latency_ms(found: Found) -> float:
    return found.measured.latency_ms if found.measured is not None else found.solution.placement.latency_ms


def run_together(search: Search, plans: Sequence[Found]) -> list[Found]:
    """Return the plans of a package with those times that they have in turns with one another."""
    if len(plans) == 1:
        return list(plans)
    figures = _run(search, {identity(found.solution.placement): found.solution.placement for found in plans})
    return [replace(found, measured=figures[identity(found.solution.placement)]) for found in plans]


def _run(search: Search, placements: Mapping[object, Placement]) -> dict[object, Measured]:
    """Run each placement's segments in turns with the others'."""
    plans = [build(search.analysis, placement, search.seen) for placement in placements.values()]
    figures = measure(plans, search.analysis, search.all_costs, seconds=search.options.profile_s) if plans else []
    return dict(zip(placements, figures, strict=True))
