"""What a training is asked for, and what it returns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from splitnet.codec import Bottleneck

#: Against the uncut model's answers, or where the tail cannot be differentiated against the tensor alone.
Method: TypeAlias = Literal["distillation", "features"]

#: Fewer samples are learned by heart.
LEAST_SAMPLES = 32


def _unheard(_share: float, _loss: float) -> None:
    """Report to nobody."""


@dataclass(frozen=True, slots=True)
class Training:
    """How to train a bottleneck.

    Attributes:
        reduction: how many times fewer values than the tensor the code has.
        seconds: how long to train; running the samples before and the check after come on top.
        seed: of the order of samples, the split, and the random weights.
        on_progress: called now and then with the share of `seconds` spent and the held-out loss.
    """

    reduction: int
    seconds: float = 60.0
    seed: int = 0
    on_progress: Callable[[float, float], None] = _unheard


@dataclass(frozen=True, slots=True)
class Losses:
    """How the held-out loss went; it is 0 where nothing is lost, and its scale is the method's own.

    Attributes:
        first: of the principal components, before any step.
        best: of the weights that were kept.
        steps: steps of the optimiser.
        best_step: after which the kept weights were seen.
    """

    first: float
    best: float
    steps: int
    best_step: int


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained bottleneck.

    Attributes:
        bottleneck: for the codec `bottleneck`.
        agreement: share of predicted classes (outputs `[batch, classes]`) that the bottleneck leaves as they
            were, on samples that no weight was fitted to, run by onnxruntime; None without such an output.
        held_out: how many samples those were.
        losses: the history in short.
        method: what it was trained against.
        reason: why the method is `features`; empty otherwise.
    """

    bottleneck: Bottleneck
    agreement: float | None
    held_out: int
    losses: Losses
    method: Method
    reason: str = ""
