"""Choosing a placement: the planner's optimum, or what was asked for by hand."""

from collections.abc import Sequence

from splitnet.errors import ModelError
from splitnet.graph import Cut
from splitnet.partition.analysis import Analysis
from splitnet.partition.options import PartitionOptions
from splitnet.plan import CostTable, Placement, Solution, best_split, evaluate, order_through, solve, unsplit
from splitnet.tiers import TIERS, Tier


def choose(table: CostTable, analysis: Analysis, options: PartitionOptions) -> Solution:
    """Return the placement that `options` asks for, with the bound that no placement beats.

    Raises:
        ModelError: what was asked for is not possible.
        InvalidArgumentError: no placement is allowed (memory, `keep_on_device`).
    """
    best = solve(table)
    if options.cuts:
        return beside(best, _at_cuts(table, analysis))
    if options.place == "auto":
        return best
    if options.place == "split":
        return beside(best, _split(table, best.placement))
    choices = unsplit(table)
    if options.place not in choices:
        raise ModelError(
            f"{options.place} is not possible: the model's input cannot be sent, or that machine cannot hold the "
            "model or what must stay on the device; use --place auto"
        )
    return beside(best, choices[options.place])


def beside(best: Solution, placement: Placement) -> Solution:
    """Return another placement of the same table, with what is proved of the best.

    One that need not keep all rules (an unsplit choice has no exits) may cost less than what was proved.
    """
    bound = min(best.bound, placement.value)
    gap = (placement.value - bound) / placement.value if placement.value else 0.0
    return Solution(placement, bound, gap, best.method)


def _split(table: CostTable, best: Placement) -> Placement:
    split = best_split(table, order_through(table, best))
    if split is None:
        raise ModelError(
            "this model cannot be split: it has no cut whose tensors can be sent; "
            "use --place auto, or one of all-device, all-edge, all-cloud"
        )
    return split


def _at_cuts(table: CostTable, analysis: Analysis) -> Placement:
    """The device computes up to the first cut, the edge up to the second, or to the end."""
    cuts = analysis.hand_cuts
    ways = {tensor.id: tensor.codecs for tensor in table.tensors}
    for cut in cuts:
        if not all(ways.get(name) for name in cut.tensors):
            raise ModelError(
                f"the cut {list(cut.tensors)} cannot be sent as asked: a tensor has no batch axis of its own or "
                "an unsupported element type, or the codec needs --calibration"
            )
    return evaluate(table, _tiers(analysis, cuts), _deepest_exits(table, cuts))


def _tiers(analysis: Analysis, cuts: Sequence[Cut]) -> dict[str, Tier]:
    return {name: TIERS[sum(name not in cut.nodes for cut in cuts)] for name in analysis.flow.nodes}


def _deepest_exits(table: CostTable, cuts: Sequence[Cut]) -> tuple[str | None, str | None]:
    """The deepest exit that each tier below the last reaches, beyond those of the tiers below it."""
    producers = {tensor.id: tensor.producer for tensor in table.tensors}
    chosen: list[str | None] = [None, None]
    taken = 0
    for tier, cut in enumerate(cuts):
        for index, entry in enumerate(table.exits[taken:], start=taken):
            if all(producers[name] is None or producers[name] in cut.nodes for name in entry.reads):
                chosen[tier], taken = entry.id, index + 1
    return chosen[0], chosen[1]
