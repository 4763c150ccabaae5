"""What the report of a job shows, put together from its result."""

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from splitnet.partition.bandwidths import BANDWIDTHS_BPS, at_bandwidth
from splitnet.partition.report_graph import graph_of
from splitnet.partition.result import PartitionResult
from splitnet.partition.search import Found
from splitnet.partition.ways import Way
from splitnet.plan import CutCost, Placement, cut_costs, evaluate, order_through, sweep
from splitnet.report import BandwidthCurve, Choice, CutPoint, Link, Machine, Report, Takeover
from splitnet.tiers import TIERS

_UNITS = {"latency": "ms", "throughput": "ms", "energy": "mJ", "bytes": "B"}
_LINKS = ("device-edge", "edge-cloud")
# More curves over the bandwidth than this cannot be told apart.
_MOST_CURVES = 6


def report_of(result: PartitionResult) -> Report:
    """Return the report of a job."""
    manifest = result.package.manifest
    order = order_through(result.search.all_costs.table, result.placement)
    cuts = cut_costs(result.search.all_costs.table, order)
    curves, takeovers = _over_bandwidth(result, order)
    nodes, edges = graph_of(result)
    return Report(
        model=manifest.model.name,
        model_digest=manifest.model.sha256,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        objective=result.options.objective,
        unit=_UNITS[result.options.objective],
        machines=_machines(result),
        links=_links(result),
        chosen=_choice(result, "chosen", "chosen", result.found),
        alternatives=_alternatives(result),
        cuts=tuple(_cut_point(result, order, cut) for cut in cuts),
        pareto=(
            _choice(result, "chosen", "chosen", result.found),
            *_alternatives(result),
            *_best_of_each(result, cuts),
        ),
        curves=curves,
        takeovers=takeovers,
        nodes=nodes,
        edges=edges,
        measured=tuple(
            _choice(result, _name(found.solution.placement), "split", found) for found in result.ranking.tried
        ),
        given_up=result.given_up,
        bound=manifest.plan.bound,
        gap=manifest.plan.gap,
        method=manifest.plan.method,
        chosen_positions=_positions(result.placement),
        swept_link=_LINKS[0],
    )


def _machines(result: PartitionResult) -> tuple[Machine, ...]:
    site = result.options.site
    return tuple(
        Machine(tier, one.name, one.description, one.speed, one.memory_bytes, one.watts)
        for tier, one in zip(TIERS, (site.device, site.edge, site.cloud), strict=True)
    )


def _links(result: PartitionResult) -> tuple[Link, ...]:
    return tuple(
        Link(name, link.bandwidth_bps, link.delay_ms, link.jitter_ms)
        for name, link in zip(_LINKS, result.options.site.links, strict=True)
    )


def _alternatives(result: PartitionResult) -> tuple[Choice, ...]:
    return tuple(
        _choice(result, name, "split" if name == "best-split" else "unsplit", found)
        for name, found in result.alternatives.items()
    )


def _choice(
    result: PartitionResult, name: str, kind: Literal["chosen", "split", "unsplit"], found: Found
) -> Choice:
    placement = found.solution.placement
    return Choice(
        name=name,
        kind=kind,
        tiers=tuple(segment.tier for segment in found.plan.segments),
        latency_ms=placement.latency_ms,
        measured_ms=found.measured.latency_ms if found.measured is not None else None,
        bytes=sum(placement.bytes),
        energy_mj=_device_energy(result, placement.stages),
        accuracy=found.verification.accuracy,
        stages=placement.stages,
        note=_again(found),
        codecs=tuple(_ways(placement)),
    )


def _device_energy(result: PartitionResult, stages: Sequence[tuple[str, float]]) -> float | None:
    """What computing costs the device, mJ: watts times ms."""
    watts = result.options.site.device.watts
    computing = {"device", "device exit"}
    return None if watts is None else watts * sum(ms for name, ms in stages if name in computing)


def _again(found: Found) -> str:
    """Say what an exit makes a tier compute that the tier above computes again."""
    segments = found.plan.segments
    twice = [
        f"{len(both)} nodes that the {lower.tier} computes for its exit are computed again at the {upper.tier}"
        for lower, upper in itertools.pairwise(segments)
        if (both := set(lower.nodes) & set(upper.nodes) & found.solution.placement.tier_of.keys())
    ]
    return "; ".join(twice)


def _ways(placement: Placement) -> Iterator[str]:
    """How tensors are sent over each link, each way once."""
    for ways in placement.codecs:
        yield ", ".join(dict.fromkeys(ways.values()))


def _name(placement: Placement) -> str:
    """Call a plan after its exits and where it cuts."""
    ends = []
    for ways, sent in zip(placement.codecs, _ways(placement), strict=True):
        others = f" and {len(ways) - 1} more" if len(ways) > 1 else ""
        ends.append(f"{next(iter(ways), 'nothing')}{others} as {sent}")
    exits = [f"exit {name}" for name in placement.exits if name is not None]
    return ", then ".join([*exits, *ends]) or "all-device"


def _positions(placement: Placement) -> tuple[int, ...]:
    """How many nodes are below each wire."""
    tiers = np.array([TIERS.index(tier) for tier in placement.tier_of.values()])
    return tuple(int((tiers <= link).sum()) for link in range(placement.last))


def _cut_point(result: PartitionResult, order: Sequence[str], cut: CutCost) -> CutPoint:
    operators = {node.name: node.op_type for node in result.search.analysis.model.graph}
    first = cut.tensors[0] if cut.tensors else ""
    return CutPoint(
        position=cut.position,
        label=first if len(cut.tensors) == 1 else f"{len(cut.tensors)} tensors, {first} …",
        op=operators[order[cut.position - 1]] if cut.position else "",
        tensors=cut.tensors,
        codec=cut.way,
        stages=cut.stages,
        latency_ms=cut.latency_ms,
        bytes=sum(cut.bytes),
        sendable=True,
        tiers=cut.tiers,
    )


def _best_of_each(result: PartitionResult, cuts: Sequence[CutCost]) -> Iterator[Choice]:
    """Yield the quickest split in two for each way to send, without exits."""
    given_up = result.given_up
    best: dict[str, CutCost] = {}
    for cut in cuts:
        if cut.position and (cut.way not in best or cut.latency_ms < best[cut.way].latency_ms):
            best[cut.way] = cut
    for way, cut in best.items():
        yield Choice(
            name=f"{cut.tensors[0]} as {way}",
            kind="split",
            tiers=cut.tiers,
            latency_ms=cut.latency_ms,
            measured_ms=None,
            bytes=sum(cut.bytes),
            energy_mj=_device_energy(result, cut.stages),
            accuracy=None,
            stages=cut.stages,
            note="its codec changes too many answers" if Way.named(way).loss in given_up else "not verified",
            codecs=(way,),
        )


def _over_bandwidth(
    result: PartitionResult, order: Sequence[str]
) -> tuple[tuple[BandwidthCurve, ...], tuple[Takeover, ...]]:
    """The plans that win somewhere, and where each begins to."""
    table = result.search.costs.table
    swept = sweep(table, order, BANDWIDTHS_BPS)
    winners = [_name(placement) for placement in swept]
    placements = dict(zip(winners, swept, strict=True))
    often = sorted(placements, key=winners.count, reverse=True)[:_MOST_CURVES]
    named = {name: found.solution.placement for name, found in result.alternatives.items()}
    named |= {name: placements[name] for name in often}
    tables = [at_bandwidth(result.search.all_costs.table, bps) for bps in BANDWIDTHS_BPS]
    evaluated = {
        name: [evaluate(one, each.tier_of, each.exits, each.codecs) for one in tables]
        for name, each in named.items()
    }
    curves = tuple(
        BandwidthCurve(name, BANDWIDTHS_BPS, tuple(one.latency_ms for one in over))
        for name, over in evaluated.items()
    )
    values = np.array([[one.value for one in over] for over in evaluated.values()])
    best = [curves[int(winner)].name for winner in values.argmin(axis=0)]
    takeovers = tuple(
        Takeover(bps, name)
        for index, (bps, name) in enumerate(zip(BANDWIDTHS_BPS, best, strict=True))
        if index and best[index - 1] != name
    )
    return curves, takeovers
