"""What a plan competes with: packages of not splitting, and of every cut at a single tensor."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.networks import Exported
from splitnet.cost import Link, Machine, Site
from splitnet.graph import Cut, enumerate_cuts
from splitnet.package import Package
from splitnet.partition import PartitionOptions, PartitionResult, partition
from splitnet.partition.bandwidths import PlanFrom, at_bandwidth
from splitnet.partition.pack import pack
from splitnet.partition.search import Found, Materials, Search
from splitnet.partition.trainer import Trainer
from splitnet.plan import CostTable, Solution, evaluate
from splitnet.tiers import Tier

DEVICE_SPEED = 0.125
#: One way, ms, and bit/s.
EDGE_DELAY_MS, CLOUD_DELAY_MS, CLOUD_BPS = 5.0, 20.0, 100e6

#: The plan that `splitnet partition` takes, and those without a split.
CHOSEN = "chosen"
UNSPLIT = ("all-device", "all-edge", "all-cloud")

# Random weights leave no margin between classes: what a trained network shrugs off changes some of its answers.
_MAX_DROP = 0.1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A package to run.

    Attributes:
        package: with one plan.
        names: `CHOSEN`, those of `UNSPLIT` and "cut TENSOR"; several where the same plan answers to them.
        predicted_ms: what the planner expects of a sample.
        sent: how each boundary tensor is sent, for people.
    """

    package: Package
    names: tuple[str, ...]
    predicted_ms: float
    sent: str


class Planner:
    """Plans one model for one bandwidth of the device's link after the other.

    The costs of cuts are those of the first bandwidth's job, so that each cut's codecs are verified once.
    """

    def __init__(self, network: Exported, folder: Path) -> None:
        self._network = network
        self._folder = folder
        self._cuts: dict[str, tuple[Search, dict[str, Tier]]] = {}
        self._packages: dict[object, Package] = {}

    def candidates(self, bandwidth_bps: float) -> list[Candidate]:
        """Plan as `splitnet partition` does, and return what it chose, first, and what it could have chosen."""
        options = PartitionOptions(
            model=self._network.model,
            output=self._folder / f"chosen-{bandwidth_bps / 1e6:g}.split",
            site=_site(bandwidth_bps),
            name="model",
            calibration=self._network.samples,
            max_accuracy_drop=_MAX_DROP,
        )
        result = partition(options)
        if not self._cuts:
            self._cuts = {f"cut {tensor}": found for tensor, found in _single_cuts(result)}
        packages = {CHOSEN: (result.package, result.found)}
        others = {name: found for name, found in result.alternatives.items() if name in UNSPLIT}
        others |= {name: _best_at(*cut, bandwidth_bps) for name, cut in self._cuts.items()}
        packages |= {name: (self._packed(result, found), found) for name, found in others.items()}
        return _merged(packages)

    def _packed(self, result: PartitionResult, found: Found) -> Package:
        """Package one plan, unless that was done at another bandwidth."""
        placement = found.solution.placement
        key = (placement.last, tuple(sorted(placement.tier_of.items())), found.plan.sent)
        if key not in self._packages:
            options = replace(result.options, output=self._folder / f"{len(self._packages)}.split")
            search = result.search
            self._packages[key] = pack(options, search.analysis, search.costs, [PlanFrom(found, 0.0)], [])
        return self._packages[key]


def _site(bandwidth_bps: float) -> Site:
    return Site(
        device=Machine(name="device", speed=DEVICE_SPEED),
        edge=Machine(name="edge", speed=1.0),
        cloud=Machine(name="cloud", speed=1.0),
        links=(
            Link(bandwidth_bps=bandwidth_bps, delay_ms=EDGE_DELAY_MS),
            Link(bandwidth_bps=CLOUD_BPS, delay_ms=CLOUD_DELAY_MS),
        ),
    )


def _single_cuts(result: PartitionResult) -> Iterator[tuple[str, tuple[Search, dict[str, Tier]]]]:
    """Yield every tensor behind which device and edge can part, with a search of its own and the nodes' tiers.

    A codec that a search gives up for failing at other tensors is thus still tried at this one.
    """
    search = result.search
    analysis = search.analysis
    sendable = {tensor.id for tensor in search.costs.table.tensors if tensor.ways}
    for cut in enumerate_cuts(analysis.model, analysis.output_names):
        if len(cut.tensors) == 1 and cut.nodes and cut.tensors[0] in sendable:
            tiers = _tiers(cut, analysis.flow.nodes)
            materials = Materials(search.costs, search.seen, Trainer(analysis, result.options))
            yield cut.tensors[0], (Search(analysis, result.options, materials), tiers)


def _tiers(cut: Cut, nodes: Sequence[str]) -> dict[str, Tier]:
    return {name: "device" if name in cut.nodes else "edge" for name in nodes}


def _best_at(search: Search, tiers: Mapping[str, Tier], bandwidth_bps: float) -> Found:
    """The plan with these tiers and the best ways to send that keep the answers."""
    while True:
        table: CostTable = at_bandwidth(search.costs.table, bandwidth_bps)
        placement = evaluate(table, tiers)
        found = search.check(Solution(placement, placement.value, 0.0, "chain"))
        if found is not None:
            return found


def _merged(packages: Mapping[str, tuple[Package, Found]]) -> list[Candidate]:
    """Give packages of the same plan one candidate: to run the same twice is to measure noise."""
    names: dict[str, list[str]] = {}
    for name, (package, _) in packages.items():
        names.setdefault(package.manifest.plan.id, []).append(name)
    candidates: list[Candidate] = []
    for same in names.values():
        package, found = packages[same[0]]
        predicted_ms = found.solution.placement.latency_ms
        candidates.append(Candidate(package, tuple(same), predicted_ms, _sent(found.plan.sent)))
    return candidates


def _sent(wires: Sequence[Sequence[tuple[str, str]]]) -> str:
    return ", ".join(" & ".join(f"{tensor} {way}" for tensor, way in wire) for wire in wires) or "nothing"
