"""The search for the best plan that keeps the answers: solve, cut, verify; forbid what breaks them, and repeat.

What the planner optimises is known beforehand but for one thing, what a codec does to the answers. So that is a
constraint added when it turns out to be broken: the first plan that keeps it is the optimum among all that do, as
long as each way that was forbidden would have broken it in other plans too.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from splitnet.package import VerificationEntry
from splitnet.partition.analysis import Analysis
from splitnet.partition.choose import beside, choose
from splitnet.partition.measure import Measured
from splitnet.partition.options import PartitionOptions
from splitnet.partition.seen import Seen
from splitnet.partition.segments import BuiltPlan, build
from splitnet.partition.table import Costs
from splitnet.partition.trainer import Trainer
from splitnet.partition.verify import Verifier
from splitnet.partition.ways import Way
from splitnet.plan import CostTable, Placement, Solution, best_split, order_through, ranked, unsplit
from splitnet.tiers import TIERS

#: So many plans are run before one is chosen.
CANDIDATES = 8
# A codec that costs too much at so many tensors is not tried at others.
_PLACES_TRIED = 4
# Plans predicted to be worse than the best by more than this are not worth running: profiles are not that far off.
_WORTH_RUNNING = 1.25


@dataclass(frozen=True, slots=True)
class Found:
    """A plan, cut and verified.

    Attributes:
        solution: the placement with its bound.
        plan: its segments.
        verification: how they compare with the whole.
        measured: what they take; None where they were not run.
    """

    solution: Solution
    plan: BuiltPlan
    verification: VerificationEntry
    measured: Measured | None = None


@dataclass(frozen=True, slots=True)
class Materials:
    """What a search starts from.

    Attributes:
        costs: with every way to send every tensor.
        seen: what codecs need to know of the tensors' values.
        trainer: of bottlenecks.
    """

    costs: Costs
    seen: Seen
    trainer: Trainer


class Search:
    """Looks for plans whose codecs cost no more than what is allowed.

    Attributes:
        analysis: the model.
        options: the job.
        seen: what codecs need to know of the tensors' values, bottlenecks trained so far among it.
        all_costs: with every way to send every tensor; what was found before a way was forbidden may still use it.
    """

    def __init__(self, analysis: Analysis, options: PartitionOptions, materials: Materials) -> None:
        self.analysis = analysis
        self.options = options
        self.seen = materials.seen
        self.all_costs = materials.costs
        self._trainer = materials.trainer
        self._broken: set[tuple[str, str]] = set()
        self._kept: set[tuple[str, str]] = set()
        self._untaught: set[str] = set()
        self._verifier = Verifier(analysis)
        self._verified: dict[object, VerificationEntry] = {}

    @property
    def costs(self) -> Costs:
        """The costs of what is still allowed."""
        return self._allowed(self.all_costs)

    @property
    def given_up(self) -> tuple[str, ...]:
        """Codecs and codings that cost too much somewhere, and were not used there."""
        return tuple(sorted({loss for _, loss in self._broken}))

    @property
    def broken(self) -> tuple[tuple[str, str], ...]:
        """The same, each as (tensor, codec or coding)."""
        return tuple(sorted(self._broken))

    def best(self, table: CostTable | None = None) -> Found:
        """Return the best plan that is allowed, or with an explicit codec, the best plan.

        Args:
            table: other costs of the same model, as for another bandwidth; those of the site otherwise.
        """
        found = self._first(lambda allowed: choose(allowed, self.analysis, self.options), table)
        assert found is not None  # `choose` raises where there is none
        return found

    def alternatives(self, best: Found) -> dict[str, Found]:
        """Return what stands beside the plan: the unsplit choices that are possible, and the best split.

        Args:
            best: the plan, whose bound holds for them too.
        """
        picks: dict[str, Callable[[CostTable], Placement | None]] = {
            "all-device": lambda table: unsplit(table).get("all-device"),
            "all-edge": lambda table: unsplit(table).get("all-edge"),
            "all-cloud": lambda table: unsplit(table).get("all-cloud"),
            "best-split": lambda table: best_split(table, order_through(table, best.solution.placement)),
        }
        choices = {name: self._first(_judged(pick, best)) for name, pick in picks.items()}
        return {name: found for name, found in choices.items() if found is not None}

    def _first(self, pick: Callable[[CostTable], Solution | None], table: CostTable | None = None) -> Found | None:
        """Pick again and again until the codecs keep the answers; each time, what broke them is forbidden."""
        while True:
            costs = self._allowed(self.all_costs if table is None else Costs(table, self.all_costs.times))
            solution = pick(costs.table)
            if solution is None:
                return None
            found = self.check(solution)
            if found is not None:
                return found

    def check(self, solution: Solution) -> Found | None:
        """Cut and verify a plan; None, and never again, where its codecs cost too much."""
        if not self._has_learned(solution.placement):
            return None
        plan = build(self.analysis, solution.placement, self.seen)
        key = identity(solution.placement)
        if key not in self._verified:
            self._verified[key] = self._verifier.verify(plan)
        verification = self._verified[key]
        if self.options.codec == "auto" and plan.lossy and not self.keeps_answers(verification):
            self._forbid(plan)
            return None
        self._kept.update(
            (tensor, loss) for tensor, way in plan.lossy if (loss := Way.named(way).loss) is not None
        )
        return Found(solution, plan, verification)

    def needs_training(self, placement: Placement) -> bool:
        """Whether it uses a bottleneck that was not trained yet."""
        return any(not self._trainer.is_trained(tensor) for tensor in _bottlenecks(placement))

    def _has_learned(self, placement: Placement) -> bool:
        """Train the bottlenecks that the plan uses; one that learns too little is not offered again."""
        for tensor in _bottlenecks(placement):
            if self._trainer.is_trained(tensor):
                continue
            learned = self._trainer.learn(tensor)
            if learned is None:
                self._untaught.add(tensor)
                return False
            self.seen = replace(self.seen, bottlenecks={**self.seen.bottlenecks, tensor: learned})
        return True

    def _allowed(self, costs: Costs) -> Costs:
        """The costs without the ways that were found to change the answers too much."""
        places = Counter(loss for _, loss in self._broken)

        def is_allowed(tensor: str, way: str) -> bool:
            loss = Way.named(way).loss
            if loss is None:
                return True
            # What broke one plan is forbidden though it kept another: or the same would be picked for ever.
            if (tensor, loss) in self._broken or (loss == "bottleneck" and tensor in self._untaught):
                return False
            return places[loss] < _PLACES_TRIED or (tensor, loss) in self._kept

        return costs.where(is_allowed) if self._broken or self._untaught else costs

    def keeps_answers(self, verification: VerificationEntry) -> bool:
        """Whether the codecs cost no more than `max_accuracy_drop`.

        An output that predicts no classes may change by twice that share of its largest value.
        """
        most = self.options.max_accuracy_drop
        if verification.max_rel_values is not None and verification.max_rel_values > 2 * most:
            return False
        if verification.accuracy_drop is not None:
            return verification.accuracy_drop <= most
        return verification.agreement is None or 1 - verification.agreement <= most

    def near(self, best: Found) -> list[Placement]:
        """Return the best placement and those that are predicted to be nearly as good, `CANDIDATES` at most."""
        table, first = self.costs.table, best.solution.placement
        limit = first.value * _WORTH_RUNNING
        ranking = ranked(table, order_through(table, first), CANDIDATES)
        placements = [first, *(one for one in ranking if one.value <= limit)]
        if self.options.place == "split":
            placements = [one for one in placements if computing(one) > 1]
        different: dict[object, Placement] = {}
        for one in placements:
            different.setdefault(identity(one), one)
        return list(different.values())[:CANDIDATES]

    def _forbid(self, plan: BuiltPlan) -> None:
        """Forbid the most drastic of the plan's lossy ways at its tensor."""
        tensor, way = min(plan.lossy, key=lambda one: self._share_of_bytes(*one))
        loss = Way.named(way).loss
        assert loss is not None
        self._broken.add((tensor, loss))

    def _share_of_bytes(self, tensor: str, way: str) -> float:
        return self.all_costs.nbytes(tensor, way) / self.analysis.specs[tensor].sample_nbytes


def _bottlenecks(placement: Placement) -> list[str]:
    """The tensors that it sends through bottlenecks."""
    sent = (item for ways in placement.codecs for item in ways.items())
    return [tensor for tensor, way in sent if Way.named(way).codec == "bottleneck"]


def identity(placement: Placement) -> object:
    """Return what tells placements apart that run or send something else."""
    sent = tuple(tuple(ways.items()) for ways in placement.codecs)
    return placement.exits, tuple(sorted(placement.tier_of.items())), sent


def computing(placement: Placement) -> int:
    """Return how many tiers run nodes of the model or an exit's head, and not codecs alone."""
    heads = {tier for tier, name in zip(TIERS, placement.exits, strict=False) if name is not None}
    return len(heads.union(placement.tier_of.values()))


def _judged(pick: Callable[[CostTable], Placement | None], best: Found) -> Callable[[CostTable], Solution | None]:
    """Have what is picked judged by the bound of the best plan."""

    def solution(table: CostTable) -> Solution | None:
        placement = pick(table)
        return None if placement is None else beside(best.solution, placement)

    return solution
