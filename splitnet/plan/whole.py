"""What not splitting costs."""

import numpy as np

from splitnet.plan.evaluation import place
from splitnet.plan.layout import Layout
from splitnet.plan.placement import Placement
from splitnet.plan.prices import priced
from splitnet.plan.sending import sender_of
from splitnet.plan.table import CostTable
from splitnet.tiers import TIERS


def unsplit(table: CostTable) -> dict[str, Placement]:
    """Return "all-device", "all-edge" and "all-cloud", each with its best codecs, those that are possible.

    They have no exits, whatever `device_must_exit` says: they are what a split is compared with.
    """
    problem = priced(table)
    sender = sender_of(problem)
    layouts = {tier: Layout(np.full(len(table.nodes), number, np.intp)) for number, tier in enumerate(TIERS)}
    return {
        f"all-{tier}": place(problem, layout, sender)
        for tier, layout in layouts.items()
        if layout.is_allowed(problem.arrays)
    }
