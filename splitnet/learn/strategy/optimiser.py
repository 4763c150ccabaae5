"""The server's step from the combined update to the next parameters; its state goes into the checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import InvalidArgumentError
from splitnet.learn.settings import ServerSettings

# Reddi et al. 2021, "Adaptive Federated Optimization": Algorithm 2, with beta_1 and beta_2 of section 4 and the
# adaptivity that did well on most of its tasks.
_BETA_1 = 0.9
_BETA_2 = 0.99
_TAU = 1e-3

_FIRST = "server/first"
_SECOND = "server/second"


@dataclass(frozen=True, slots=True, eq=False)
class ServerState:
    """What FedAdam remembers from round to round; empty for the other strategies.

    Attributes:
        first: mean of the updates, float64 `[d]`, None before the first round.
        second: mean of their squares, likewise.
    """

    first: NDArray[np.float64] | None = None
    second: NDArray[np.float64] | None = None

    def to_tensors(self) -> dict[str, NDArray[np.float64]]:
        """Return the state as named arrays, none where it is empty."""
        if self.first is None or self.second is None:
            return {}
        return {_FIRST: self.first, _SECOND: self.second}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float64]]) -> Self:
        """Return the state that `to_tensors` gave; other names are left alone."""
        return cls(tensors.get(_FIRST), tensors.get(_SECOND))


def next_parameters(
    parameters: NDArray[np.float32], update: NDArray[np.float64], *, settings: ServerSettings, state: ServerState
) -> tuple[NDArray[np.float32], ServerState]:
    """Return the parameters after a round, and the state for the next.

    FedAvg adds learning_rate * update. So does FedProx, whose other term is the devices' own
    (`LocalSettings.proximal`). FedAdam adds learning_rate * first / (sqrt(second) + 1e-3), where first and second
    are exponential means (0.9 and 0.99) of the update and its square; as in the paper there is no correction of
    the bias, and `second` begins at 1e-6, the square of that 1e-3.

    Args:
        parameters: the round's, `[d]`.
        update: the combined update, `[d]`.
        settings: strategy and learning rate.
        state: from the round before.

    Raises:
        InvalidArgumentError: lengths differ, or the next parameters would not be finite.
    """
    if update.shape != parameters.shape:
        raise InvalidArgumentError(
            f"strategy: an update of {update.size} values for {parameters.size} parameters: not of this model"
        )
    step, state = _adam(update, state) if settings.strategy == "fedadam" else (update, state)
    with np.errstate(over="ignore"):  # refused below
        after = (parameters.astype(np.float64) + settings.rate * step).astype(np.float32)
    if not np.isfinite(after).all():
        raise InvalidArgumentError("strategy: the next parameters are not finite: lower server.learning_rate")
    return after, state


def _adam(update: NDArray[np.float64], state: ServerState) -> tuple[NDArray[np.float64], ServerState]:
    first = np.zeros_like(update) if state.first is None else state.first
    second = np.full_like(update, _TAU**2) if state.second is None else state.second
    if first.shape != update.shape or second.shape != update.shape:
        raise InvalidArgumentError(
            f"strategy: a state of {first.size} values for {update.size} parameters: it is of another model"
        )
    first = _BETA_1 * first + (1 - _BETA_1) * update
    second = _BETA_2 * second + (1 - _BETA_2) * update**2
    return first / (np.sqrt(second) + _TAU), ServerState(first, second)
