"""Two versions on the same samples: what the pairs that differ say, exactly.

A sample on which both versions do alike says nothing about which is better. Of the others, g in favour of one and
l of the other, McNemar's test (Psychometrika 12, 1947) asks how likely such a g is where both are equally good,
exactly by the binomial distribution. How far one may be worse is bounded from above by Clopper and Pearson's
intervals.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splitnet.exits.calibrate import upper_bound

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Paired:
    """How a candidate does beside the running version in one respect.

    Attributes:
        gained: samples on which the candidate alone does well.
        lost: samples on which the running version alone does.
        p_better: probability of as many gains or more among as many differences, were both equally good.
        p_worse: the same for losses.
    """

    gained: int
    lost: int
    p_better: float
    p_worse: float


def paired(running: Flags, candidate: Flags) -> Paired:
    """Compare two versions on the same samples, by exact one-sided McNemar tests.

    Args:
        running: bool `[n]`, whether the running version does well on a sample.
        candidate: bool `[n]`, the same of the candidate.
    """
    gained, lost = int((candidate & ~running).sum()), int((running & ~candidate).sum())
    differing = gained + lost
    return Paired(gained, lost, _at_least(gained, differing), _at_least(lost, differing))


def drop_bound(found: Paired, n: int, *, alpha: float) -> float:
    """Return an upper bound on P(running well) - P(candidate well), which holds with probability 1 - alpha.

    With probability 1 - alpha/2 each, the share of losses among the differences is at most a, and the share of
    samples that differ at most d; where a is above one half, the drop is at most d * (2 a - 1), and else nothing.

    Args:
        found: of `paired`.
        n: samples that were compared.
        alpha: the probability that the bound is too low, in (0, 1).
    """
    differing = found.gained + found.lost
    losing = upper_bound(found.lost, differing, delta=alpha / 2) if differing else 1.0
    return upper_bound(differing, n, delta=alpha / 2) * max(0.0, 2 * losing - 1)


def _at_least(count: int, n: int) -> float:
    """P(X >= count) for X binomial of n fair coins."""
    if count == 0:
        return 1.0
    # Here, not above: scipy is in an extra, and whoever applies a release imports neighbours of this module.
    from scipy.special import betainc  # noqa: PLC0415

    return float(betainc(count, n - count + 1, 0.5))
