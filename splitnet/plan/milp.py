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
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, milp

from splitnet.plan.arrays import Floats, Indices
from splitnet.plan.programme import Cover, cover_of, programme_of
from splitnet.plan.terms import Found, Terms

# What the best known placement costs in the programme. A cost beyond twice that rules a choice out already.
# With 10,000 HiGHS 1.12 failed on 14 of 1,000 small problems (see `_run`), with 100 on none.
_SCALED = 1e2
# A placement so much better than the best known one is worth solving again at its own scale.
_MUCH_BETTER = 1e-2
_MOST_RUNS = 100
# scipy's numbers for "optimal", "time limit reached" and "infeasible".
_CLEAR = _OPTIMAL, _TIME_IS_UP, _INFEASIBLE = 0, 1, 2

_log = logging.getLogger(__name__)


def solve_milp(terms: Terms, value: Callable[[Indices], float], *, upper: float, end: float) -> Found:
    """Return the placement of least cost, or the best found in time, with the bound that was proved.

    Args:
        terms: numbers of any objective.
        value: what a placement, `[n]`, costs with its best codecs.
        upper: the cost of the best placement that is known; infinite: none is.
        end: when to stop, on the monotonic clock, in seconds.
    """
    best: Indices | None = None
    bound, covers = 0.0, list[Cover]()
    upper = min(upper, terms.ceiling)
    for _ in range(_MOST_RUNS):
        left_s = end - time.monotonic()
        if upper <= 0 or left_s <= 0:
            break
        unit = upper / _SCALED
        result, proved = _run(_scaled(terms, unit), covers, time_limit_s=left_s)
        if result.status == _INFEASIBLE:
            return Found(best, math.inf if best is None else upper)
        bound = max(bound, proved * unit)
        found = None if result.x is None else _tiers(result, len(terms.work))
        if found is not None and (terms.held(found) > terms.caps).any():
            covers += _covers(terms, found)
            continue
        cost, before = math.inf if found is None else value(found), upper
        if best is None or cost < value(best):
            best, upper = found, min(cost, upper)
        if result.status == _TIME_IS_UP or found is None or cost >= _MUCH_BETTER * before:
            break
    return Found(best, bound)


def _run(terms: Terms, covers: list[Cover], *, time_limit_s: float) -> tuple[OptimizeResult, float]:
    """Solve once; return HiGHS' result and its lower bound."""
    programme = programme_of(terms, covers, highest_stage=4 * _SCALED)
    # HiGHS 1.12 at times finds its own answer 1e-6 off and calls that a "solve error"; less so without presolve.
    for presolve in (True, False):
        result = milp(
            programme.cost,
            integrality=programme.integral,
            bounds=Bounds(programme.lowest, programme.highest),
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

    def scaled(costs: Floats) -> Floats:
        with np.errstate(over="ignore"):
            return np.minimum(costs / unit, 2 * _SCALED)

    return replace(
        terms,
        work=scaled(terms.work),
        back=scaled(terms.back),
        crossings=replace(terms.crossings, stages=scaled(terms.crossings.stages)),
        constant=scaled(terms.constant),
    )


def _tiers(result: OptimizeResult, count: int) -> Indices:
    above = result.x[: 2 * count].reshape(2, count) > 0.5
    tiers: Indices = above.sum(axis=0, dtype=np.intp)
    return tiers


def _covers(terms: Terms, tiers: Indices) -> list[Cover]:
    over = np.flatnonzero(terms.held(tiers) > terms.caps)
    return [cover_of(terms, tiers, int(tier)) for tier in over]
