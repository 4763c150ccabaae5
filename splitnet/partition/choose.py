"""Choosing the placement: the planner's best, or what was asked for by hand."""

import itertools
from collections.abc import Sequence

from splitnet.errors import ModelError
from splitnet.partition.options import Place
from splitnet.plan import Placement, Problem, best_split, evaluate, solve, unsplit


def choose(problem: Problem, place: Place) -> Placement:
    """Return the best placement among those that `place` admits.

    Raises:
        ModelError: there is none: the input, or no cut at all, can be sent.
    """
    if place == "auto":
        return solve(problem)
    if place == "split":
        split = best_split(problem)
        if split is None:
            raise ModelError(
                "this model cannot be split: it has no cut whose tensors can be sent; "
                "use --place auto, or one of all-device, all-edge, all-cloud"
            )
        return split
    choices = unsplit(problem)
    if place not in choices:
        raise ModelError(f"{place} is not possible: the model's input cannot be sent; use --place all-device")
    return choices[place]


def choose_at_cuts(problem: Problem, cut_tensors: Sequence[Sequence[str]]) -> Placement:
    """Return the best placement that cuts exactly at the problem's inner positions.

    The device computes up to the first, the edge up to the second (or to the end), and each attaches the
    deepest exit that its segment reaches.

    Args:
        problem: over the positions input, cut by hand (one or two), whole.
        cut_tensors: the tensors of the inner cuts, for errors.

    Raises:
        ModelError: a tensor of a cut cannot be sent.
    """
    last = len(cut_tensors)
    for position, tensors in enumerate(cut_tensors, start=1):
        if not problem.wires[position]:
            raise ModelError(
                f"the cut {list(tensors)} cannot be sent as asked: a tensor has no batch axis of its own or an "
                "unsupported element type, or the codec needs --calibration"
            )
    exits: list[int | None] = []
    for position in range(1, last + 1):
        taken = [index for index in exits if index is not None]
        reached = [
            index
            for index, point in enumerate(problem.exits)
            if point.position <= position
            and all(point.position > problem.exits[lower].position for lower in taken)
        ]
        exits.append(reached[-1] if reached else None)
    choices = itertools.product(*(problem.wires[position] for position in range(1, last + 1)))
    placements = [
        evaluate(problem, last, tuple((p, wire.codec) for p, wire in enumerate(wires, start=1)), tuple(exits))
        for wires in choices
    ]
    return min(placements, key=lambda placement: placement.predicted_ms)
