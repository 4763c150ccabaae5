"""Where a graph's nodes should run: tables of costs and their exact solvers, pure functions on numbers."""

from splitnet.plan.chain import best_split, ranked, solve_chain, sweep
from splitnet.plan.cut_costs import CutCost, cut_costs
from splitnet.plan.evaluation import evaluate
from splitnet.plan.line import order_through
from splitnet.plan.parts import CodecCost, Exit, Link, Node, Survival, Tensor
from splitnet.plan.placement import Placement, Solution
from splitnet.plan.search import solve
from splitnet.plan.table import CostTable, Objective, from_json
from splitnet.plan.whole import unsplit

__all__ = [
    "CodecCost",
    "CostTable",
    "CutCost",
    "Exit",
    "Link",
    "Node",
    "Objective",
    "Placement",
    "Solution",
    "Survival",
    "Tensor",
    "best_split",
    "cut_costs",
    "evaluate",
    "from_json",
    "order_through",
    "ranked",
    "solve",
    "solve_chain",
    "sweep",
    "unsplit",
]
