"""How good the exit is on samples: sums, so that those of many devices add up."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from splitnet.learn.local.examples import Examples
from splitnet.learn.local.job import MOST_LOSS
from splitnet.tensors import Array

# Below the least probability that a loss of MOST_LOSS leaves to tell.
_TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Judged:
    """Sums over samples.

    Attributes:
        loss: cross-entropy, nats, each sample's at most `MOST_LOSS`.
        right: samples whose class is the label or, without one, the teacher's.
        leaving: samples that would leave at the exit.
    """

    loss: float
    right: int
    leaving: int


def judge(
    scores: Array, examples: Examples, *, kind: Literal["logits", "probabilities"], threshold: float
) -> Judged:
    """Judge the exit's scores.

    Args:
        scores: `[n, classes]` float32, finite.
        examples: the samples, with what is right.
        kind: what the scores are.
        threshold: of the exit. The largest probability is held against it, whatever the exit's own confidence is.
    """
    logs = _log_probabilities(scores.astype(np.float64), kind)
    losses = np.minimum(-(examples.targets * np.maximum(logs, np.log(_TINY))).sum(axis=1), MOST_LOSS)
    confidence = np.exp(logs.max(axis=1)).astype(np.float32)
    return Judged(
        loss=float(np.maximum(losses, 0).sum()),
        right=int((logs.argmax(axis=1) == examples.classes).sum()),
        leaving=int((confidence >= np.float32(threshold)).sum()),
    )


def _log_probabilities(
    scores: NDArray[np.float64], kind: Literal["logits", "probabilities"]
) -> NDArray[np.float64]:
    if kind == "probabilities":
        return np.log(np.maximum(scores, _TINY))
    shifted = scores - scores.max(axis=1, keepdims=True)
    logs: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs
