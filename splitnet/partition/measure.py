"""Running the real segments of several plans in turn, to rank them by what they really take."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from splitnet.partition.analysis import Analysis
from splitnet.partition.runner import ModelRunner
from splitnet.partition.segments import BuiltPlan
from splitnet.partition.table import Costs
from splitnet.plan import Placement
from splitnet.tensors import Tensors
from splitnet.tiers import TIERS, Tier

# Rounds in which every segment runs once: so many at least.
_LEAST_ROUNDS = 3
# Where next to no sample gets, what one takes cannot be told from what all take on average.
_LEAST_SHARE = 1e-6


@dataclass(frozen=True, slots=True)
class Measured:
    """What a plan takes, from segments that were run here and links as planned.

    Attributes:
        segment_ms: median of each segment's time on this machine for one sample, by tier, ms.
        latency_ms: expected latency of a sample on the site, ms.
        value: what plans are ranked by, ms: the latency, or for throughput the time of the slowest stage.
    """

    segment_ms: dict[Tier, float]
    latency_ms: float
    value: float


def measure(plans: Sequence[BuiltPlan], analysis: Analysis, costs: Costs, *, seconds: float) -> list[Measured]:
    """Run the segments of all plans in turn on one sample, so that what else the machine does falls on all alike.

    Args:
        plans: to compare.
        analysis: their model.
        costs: they were planned with.
        seconds: how long to measure, more where three rounds take longer.
    """
    runs = [_Run.of(plan, analysis) for plan in plans]
    # Every round opens all pieces of a large model anew.
    least = _LEAST_ROUNDS if analysis.whole.piece_bytes is None else 1
    end, rounds = time.monotonic() + seconds, 0
    while rounds < least or time.monotonic() < end:
        for run in runs:
            run.again()
        rounds += 1
    return [_measured(run, costs) for run in runs]


class _Run:
    """A plan's segments with the sample that each of them takes, and the times so far."""

    def __init__(self, plan: BuiltPlan, runners: dict[Tier, tuple[ModelRunner, Tensors]]) -> None:
        self.plan = plan
        self.times: dict[Tier, list[float]] = {tier: [] for tier in runners}
        self._runners = runners

    @classmethod
    def of(cls, plan: BuiltPlan, analysis: Analysis) -> "_Run":
        """Load the segments, and run each once on what those below make of one sample."""
        values: Tensors = dict(analysis.samples.take([0]))
        runners = {}
        for segment in plan.segments:
            runner = ModelRunner(
                segment.model, name=f"segment {segment.tier!r}", piece_bytes=analysis.whole.piece_bytes
            )
            runners[segment.tier] = runner, {spec.name: values[spec.name] for spec in segment.inputs}
            values |= runner.run(values)
        return cls(plan, runners)

    def again(self) -> None:
        """Run every segment twice, and time the second: a machine that runs nothing else has it in its caches."""
        for tier, (runner, feeds) in self._runners.items():
            self.times[tier].append(runner.run_ms(feeds))


def _measured(run: _Run, costs: Costs) -> Measured:
    placement = run.plan.placement
    segment_ms = {tier: median(times) for tier, times in run.times.items()}
    reach, slowness = reached(placement, costs), costs.times.slowness
    computing = [ms * slowness[TIERS.index(tier)] * reach[TIERS.index(tier)] for tier, ms in segment_ms.items()]
    predicted, sending, carrying = dict(placement.stages), 0.0, []
    for link in range(placement.last):
        link_ms = predicted[f"{TIERS[link]}-{TIERS[link + 1]}"] - _codecs_ms(run.plan, costs, link, reach)
        sending += link_ms
        # A round trip is waited for, but keeps the link free for others.
        carrying.append(link_ms - costs.table.links[link].rtt_ms * reach[link + 1])
    latency_ms = sum(computing) + sending
    slowest_ms = max([*computing, *carrying])
    return Measured(segment_ms, latency_ms, slowest_ms if costs.table.objective == "throughput" else latency_ms)


def reached(placement: Placement, costs: Costs) -> tuple[float, float, float]:
    """Return the share of samples that get to device, edge and cloud."""
    left = {frozenset(entry.exits): entry.share for entry in costs.table.survival}
    device, edge = placement.exits
    after_device = left[frozenset([device])] if device is not None else 1.0
    used = frozenset(name for name in (device, edge) if name is not None)
    return 1.0, after_device, left[used] if used else 1.0


def computing_ms(placement: Placement, costs: Costs, measured: Measured | None) -> list[float]:
    """Return what each tier up to the plan's last computes for a sample that gets there, exit included, ms.

    From the segments as they were run, scaled to the machine of that tier; as predicted where they were not.
    """
    tiers = TIERS[: placement.last + 1]
    if measured is not None:
        return [
            measured.segment_ms.get(tier, 0.0) * slower
            for tier, slower in zip(tiers, costs.times.slowness, strict=False)
        ]
    stages, reach = dict(placement.stages), reached(placement, costs)
    return [
        (stages[tier] + stages.get(f"{tier} exit", 0.0)) / max(share, _LEAST_SHARE)
        for tier, share in zip(tiers, reach, strict=False)
    ]


def _codecs_ms(plan: BuiltPlan, costs: Costs, link: int, reach: tuple[float, float, float]) -> float:
    """What the plan counts to `link` for codecs in the graph: the measured segments have that in them already."""
    placement = plan.placement
    relayed = placement.last == len(TIERS) - 1 and plan.segment_of("edge") is None
    ways = {tensor.id: {way.codec: way for way in tensor.codecs or ()} for tensor in costs.table.tensors}
    spent = 0.0
    for tensor, name in placement.codecs[link].items():
        codec = ways[tensor][name.partition("+")[0]]
        spent += 0.0 if relayed and link == 1 else codec.encode_ms[link]
        spent += 0.0 if relayed and link == 0 else codec.decode_ms[link + 1]
    return spent * reach[link + 1]
