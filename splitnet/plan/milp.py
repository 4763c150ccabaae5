"""The exact solver for throughput and for memory caps: a mixed-integer programme, solved by HiGHS.

HiGHS (Huangfu and Hall, "Parallelizing the dual revised simplex method", Mathematical Programming Computation
10, 2018) works to absolute tolerances of 1e-6. Costs are therefore scaled so that the best known placement costs
100, and scaled again when a much better one is found; values and bounds are then good to some 1e-8. A placement
that only a tolerance let pass a cap is cut off and the programme solved again, so what is returned keeps every
cap to the byte.
"""

import logging
import math
import time
from dataclasses import replace

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, milp

from splitnet.errors import InvalidArgumentError, SplitNetError
from splitnet.plan.mincut import Solution
from splitnet.plan.programme import Cover, cover_of, programme_of
from splitnet.plan.terms import Indices, Terms

# What the best known placement costs in the programme. A cost beyond twice that rules a choice out already.
# With 10,000 HiGHS 1.12 failed on 14 of 1,000 small problems (see `_run`), with 100 on none.
_SCALED = 1e2
# A placement so much better than the best known one is worth solving again at its own scale.
_MUCH_BETTER = 1e-2
_MOST_RUNS = 100
# scipy's numbers for "optimal", "time limit reached" and "infeasible".
_CLEAR = _OPTIMAL, _TIME_IS_UP, _INFEASIBLE = 0, 1, 2

_log = logging.getLogger(__name__)


class NoPlacementError(InvalidArgumentError):
    """No placement keeps the order, the caps and what must stay on the device."""


def solve_milp(terms: Terms, *, time_limit_s: float = 60.0) -> Solution:
    """Return the placement of least cost, or the best found in time, with the bound that was proved.

    Raises:
        NoPlacementError: no placement is allowed.
        InvalidArgumentError: the time was up before a placement was found.
    """
    end = time.monotonic() + time_limit_s
    best, bound = _best_unsplit(terms), 0.0
    upper = _worst(terms) if best is None else terms.value(best)
    covers: list[Cover] = []
    for _ in range(_MOST_RUNS):
        left_s = end - time.monotonic()
        if (best is not None and upper <= 0) or left_s <= 0:
            break
        unit = upper / _SCALED if upper > 0 else 1.0
        result, proved = _run(_scaled(terms, unit), covers, time_limit_s=left_s)
        if result.status == _INFEASIBLE and best is None:
            raise NoPlacementError("no placement is allowed")
        bound = max(bound, proved * unit)
        found = None if result.x is None else _tiers(result, len(terms.node_cost))
        if found is not None and not terms.allows(found):
            covers += _covers(terms, found)
            continue
        value, before = math.inf if found is None else terms.value(found), upper
        if best is None or value < terms.value(best):
            best, upper = found, min(value, upper)
        if result.status == _TIME_IS_UP or found is None or value >= _MUCH_BETTER * before:
            break
    if best is None:
        raise InvalidArgumentError(f"no placement was found in {time_limit_s:g} s: allow more time")
    return Solution(best, min(bound, terms.value(best)))


def _run(terms: Terms, covers: list[Cover], *, time_limit_s: float) -> tuple[OptimizeResult, float]:
    """Solve once; return HiGHS' result and its lower bound."""
    programme = programme_of(terms, covers, highest_stage=4 * _SCALED)
    # HiGHS 1.12 at times finds its own answer 1e-6 off and calls that a "solve error"; less so without presolve.
    for presolve in (True, False):
        result = milp(
            programme.cost,
            integrality=programme.integral,
            bounds=Bounds(0.0, programme.highest),
            constraints=LinearConstraint(programme.matrix.tocsr(), -np.inf, programme.upper),
            options={"time_limit": time_limit_s, "mip_rel_gap": 0.0, "presolve": presolve},
        )
        if result.status in _CLEAR:
            break
    else:
        _log.warning("the solver gave up, what it had proved is lost: %s", result.message)
    proved = result.mip_dual_bound
    return result, 0.0 if proved is None or not math.isfinite(proved) else proved + programme.constant


def _scaled(terms: Terms, unit: float) -> Terms:
    """Costs in `unit`; those above any placement worth having are cut to where they still rule it out."""
    most = 2 * _SCALED
    with np.errstate(over="ignore"):
        return replace(
            terms,
            node_cost=np.minimum(terms.node_cost / unit, most),
            transfer=np.minimum(terms.transfer / unit, most),
            once=np.minimum(terms.once / unit, most),
        )


def _tiers(result: OptimizeResult, count: int) -> Indices:
    above = result.x[: 2 * count].reshape(2, count) > 0.5
    tiers: Indices = above.sum(axis=0, dtype=np.intp)
    return tiers


def _covers(terms: Terms, tiers: Indices) -> list[Cover]:
    over = np.flatnonzero(terms.held(tiers) > terms.caps)
    if not over.size:
        raise SplitNetError("the solver's answer breaks the order of the graph")
    return [cover_of(terms, tiers, int(tier)) for tier in over]


def _best_unsplit(terms: Terms) -> Indices | None:
    """The best placement on one tier, to start from; None if none is allowed."""
    placements = [np.full(len(terms.node_cost), tier, np.intp) for tier in range(len(terms.caps))]
    return min((one for one in placements if terms.allows(one)), key=terms.value, default=None)


def _worst(terms: Terms) -> float:
    """More than any placement costs."""
    return float(terms.node_cost.max(axis=1).sum() + terms.transfer.sum() + terms.once.sum())
