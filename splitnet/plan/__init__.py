"""The planning problem and its exact solver: pure functions on numbers."""

from splitnet.plan.latency import evaluate
from splitnet.plan.nested import best_split, solve, unsplit
from splitnet.plan.problem import ExitPoint, LinkCost, Placement, Problem, Wire

__all__ = [
    "ExitPoint",
    "LinkCost",
    "Placement",
    "Problem",
    "Wire",
    "best_split",
    "evaluate",
    "solve",
    "unsplit",
]
