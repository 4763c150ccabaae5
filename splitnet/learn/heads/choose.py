"""Which heads are worth attaching: those that save most, as far as there are samples to vouch for them."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: At most so many heads are attached; a plan uses two.
MOST_HEADS = 3
# What it costs to send a sample up, in runs of the whole model: where it is far less, exits are not needed at all.
_SENDING = 1.0
# Several heads share the risk: each needs so many times the samples that would do without a single error.
_ROOM_FOR_ERRORS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What a head did on samples that judge it, none of which trained it. Compared by identity.

    Attributes:
        share: of the model's work that is below it.
        confidence: float32 `[n]`.
        costly: bool `[n]`, whether the head is wrong and the model right.
    """

    share: float
    confidence: NDArray[np.float32]
    costly: NDArray[np.bool_]

    def leaving(self, epsilon: float) -> NDArray[np.bool_]:
        """Return who leaves, at the lowest confidence where errors are at most the share `epsilon` of all."""
        order = np.argsort(-self.confidence, kind="stable")
        allowed = np.cumsum(self.costly[order]) <= epsilon * len(order)
        gone = np.zeros(len(order), np.bool_)
        gone[order[allowed]] = True
        return gone


def samples_needed(heads: int, *, epsilon: float, delta: float) -> int:
    """Return with how many calibration samples at least a threshold passes, when `heads` share the risk.

    Args:
        heads: how many.
        epsilon: accuracy that all of them together may cost.
        delta: the probability with which that may be exceeded.
    """
    # Clopper and Pearson's bound of no error in n is 1 - delta ** (1 / n).
    return math.ceil(math.log(delta / heads) / math.log1p(-epsilon / heads))


def most_heads(held_out: int, *, epsilon: float, delta: float) -> int:
    """Return how many heads at most `held_out` samples can choose thresholds for, 1 to `MOST_HEADS`."""
    fitting = [
        heads
        for heads in range(1, MOST_HEADS + 1)
        if held_out >= _ROOM_FOR_ERRORS * samples_needed(heads, epsilon=epsilon, delta=delta)
    ]
    return max(fitting, default=1)


def choose(trials: Sequence[Trial], *, most: int, epsilon: float) -> tuple[int, ...]:
    """Return the indices of the heads that together save the most, in order.

    A sample that leaves saves the work above, and the sending; the more heads share `epsilon`, the fewer leave at
    each. The planner, which knows machines and links, has the last word.

    Args:
        trials: of each head, in order of depth, on the same samples.
        most: how many at most.
        epsilon: accuracy that all of them together may cost.
    """
    groups = [group for size in range(1, most + 1) for group in itertools.combinations(range(len(trials)), size)]
    return max(groups, key=lambda group: _saved([trials[index] for index in group], epsilon))


def _saved(trials: Sequence[Trial], epsilon: float) -> float:
    """What is saved of the whole model's work when each sample leaves at the first head that it can."""
    left = np.ones(len(trials[0].confidence), np.bool_)
    saved = 0.0
    for trial in trials:
        leaving = trial.leaving(epsilon / len(trials)) & left
        saved += float(leaving.mean()) * (1 - trial.share + _SENDING)
        left &= ~leaving
    return saved
