"""The planning problem and its exact solver: pure functions on numbers."""

from splitnet.plan.latency import evaluate
from splitnet.plan.nested import best_split, solve, unsplit
from splitnet.plan.problem import TIERS, ExitPoint, LinkCost, Placement, Problem, Wire

__all__ = [
    "TIERS",
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
