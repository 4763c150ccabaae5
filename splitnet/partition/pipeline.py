"""`splitnet partition` from end to end: analyse, measure, search, cut, verify, run, write."""

from collections.abc import Callable
from dataclasses import replace

from splitnet.package import Alternative, check_target
from splitnet.partition.analysis import Analysis, analyse
from splitnet.partition.backup import backup_of
from splitnet.partition.bandwidths import in_order, plans_for
from splitnet.partition.options import PartitionOptions
from splitnet.partition.pack import pack
from splitnet.partition.prices import price, sendable
from splitnet.partition.rank import rank, run_together
from splitnet.partition.result import PartitionResult
from splitnet.partition.search import Found, Materials, Search
from splitnet.partition.seen import look
from splitnet.partition.table import make_costs
from splitnet.partition.times import measure_times
from splitnet.partition.trainer import Trainer
from splitnet.partition.training import check_exit

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
    analysis = analyse(options, lambda share: on_step("train exits", share * 0.15))
    check_exit(options, analysis)
    backup = None if options.backup is None else backup_of(options.backup, analysis)
    on_step("profile", 0.15)
    search = _search(options, analysis, on_step)
    on_step("plan, cut and verify", 0.5)
    best = search.best()
    alternatives = search.alternatives(best)
    on_step("run the best plans", 0.7)
    ranking = rank(search, best, alternatives)
    on_step("plan for other bandwidths", 0.85)
    plans = in_order(search, run_together(search, plans_for(search, ranking.best, options.plans)))
    on_step("write the package", 0.95)
    listed = [_alternative(name, found) for name, found in ranking.alternatives.items()]
    package = pack(options, analysis, search.all_costs, plans, listed, backup=backup)
    on_step("done", 1.0)
    return PartitionResult(package, options, search, tuple(plans), ranking)


def _search(options: PartitionOptions, analysis: Analysis, on_step: OnStep) -> Search:
    """Measure the model, its tensors and the ways to send them."""
    times = measure_times(analysis, options, on_progress=lambda share: on_step("profile", 0.15 + share / 5))
    on_step("look at what crosses", 0.35)
    trainer = Trainer(analysis, options)
    seen = look(analysis, sendable(analysis), sample_ms=times.profile.whole_ms)
    seen = replace(seen, bottlenecks=trainer.untrained())
    on_step("measure codecs", 0.4)
    costs = make_costs(analysis, options, times, price(analysis, options, seen))
    return Search(analysis, options, Materials(costs, seen, trainer))


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
