"""`splitnet partition` from end to end: analyse, measure, search, cut, verify, run, write."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from splitnet.package import Alternative, check_target
from splitnet.partition.analysis import Analysis, analyse
from splitnet.partition.bandwidths import PlanFrom, plans_for
from splitnet.partition.measure import measure
from splitnet.partition.options import PartitionOptions
from splitnet.partition.pack import pack
from splitnet.partition.prices import price, sendable
from splitnet.partition.result import PartitionResult
from splitnet.partition.search import Found, Search
from splitnet.partition.seen import look
from splitnet.partition.table import make_costs
from splitnet.partition.times import measure_times

OnStep = Callable[[str, float], None]


def partition(options: PartitionOptions, on_step: OnStep = lambda _step, _share: None) -> PartitionResult:
    """Cut a model for a site and write the package.

    Args:
        options: the job.
        on_step: called with the step's name and the share of the job that is done, 0.0 to 1.0.

    Raises:
        ModelError: the model cannot be loaded, cut or verified.
        NotFoundError: a file or tensor does not exist.
        ConfigError: the site lacks what the objective needs, or none of its machines can run the model.
        InvalidArgumentError: options or calibration data do not fit the model.
        PackageError: the package cannot be written.
    """
    check_target(options.output)
    on_step("load the model and observe its shapes", 0.0)
    analysis = analyse(options)
    on_step("profile", 0.15)
    search = _search(options, analysis, on_step)
    on_step("plan, cut and verify", 0.5)
    best, tried = _choose(search, on_step)
    plans, alternatives = _measured(search, plans_for(search, best, options.plans), search.alternatives(best))
    on_step("write the package", 0.95)
    listed = [_alternative(name, found) for name, found in alternatives.items()]
    package = pack(options, analysis, search.costs, plans, listed)
    on_step("done", 1.0)
    return PartitionResult(package, options, search, tuple(plans), alternatives, tuple(tried))


def _search(options: PartitionOptions, analysis: Analysis, on_step: OnStep) -> Search:
    """Measure the model, its tensors and the ways to send them."""
    times = measure_times(analysis, options, on_progress=lambda share: on_step("profile", 0.15 + share / 5))
    on_step("look at what crosses", 0.35)
    seen = look(analysis, sendable(analysis), sample_ms=times.profile.whole_ms)
    on_step("measure codecs", 0.4)
    costs = make_costs(analysis, options, times, price(analysis, options, seen))
    return Search(analysis, options, costs, seen)


def _choose(search: Search, on_step: OnStep) -> tuple[Found, Sequence[Found]]:
    """The best plan, as measured where that can be: by hand there is one, and bytes are known without running."""
    options = search.options
    best = search.best()
    if (
        options.cuts
        or options.place not in ("auto", "split")
        or options.objective not in ("latency", "throughput")
    ):
        return best, ()
    on_step("run the best plans", 0.7)
    return search.rerank(best)


def _measured(
    search: Search, plans: Sequence[PlanFrom], alternatives: Mapping[str, Found]
) -> tuple[list[PlanFrom], dict[str, Found]]:
    """Run what was not run yet, in turns."""
    every = [*(plan.found for plan in plans), *alternatives.values()]
    waiting = [found for found in every if found.measured is None]
    figures = measure(
        [found.plan for found in waiting], search.analysis, search.costs, seconds=search.options.profile_s / 2
    )
    done = {id(found): replace(found, measured=one) for found, one in zip(waiting, figures, strict=True)}
    return (
        [replace(plan, found=done.get(id(plan.found), plan.found)) for plan in plans],
        {name: done.get(id(found), found) for name, found in alternatives.items()},
    )


def _alternative(name: str, found: Found) -> Alternative:
    placement, verification = found.solution.placement, found.verification
    return Alternative(
        name=name,
        predicted_ms=placement.latency_ms,
        bytes=sum(placement.bytes),
        energy_mj=placement.energy_mj,
        accuracy=verification.accuracy,
        measured_ms=found.measured.latency_ms if found.measured is not None else None,
    )
