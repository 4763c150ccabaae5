"""The training loop: AdamW within a time, its rate on a cosine, the best weights on held-out samples kept."""

import copy
import math
import time
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from splitnet.learn.bottleneck.code import TrainableCode
from splitnet.learn.bottleneck.objective import Batch, Objective
from splitnet.learn.bottleneck.observe import Observed
from splitnet.learn.bottleneck.trained import Losses, Training

_RATE = 5e-3
# This share of the time the learning rate rises from 0.
_WARMING = 0.05
_WEIGHT_DECAY = 1e-4
_LONGEST_GRADIENT = 1.0
_MOST_ROWS, _LEAST_ROWS = 32, 8
# Values of the boundary tensor in a batch, at most: what the tail keeps for its gradients is many times that.
_MOST_VALUES = 2**22
# Held-out samples are looked at so often, unless that takes more than a fifth of the time.
_LOOKS = 50
_WORK_A_LOOK = 4.0


def fit(
    code: TrainableCode, objective: Objective, fitting: Observed, held_out: Observed, *, training: Training
) -> Losses:
    """Train `code` in place for `training.seconds`, and leave it with the best weights that were seen.

    Args:
        code: starts as it is.
        objective: what to make small.
        fitting: samples to learn from.
        held_out: samples that choose among the weights.
        training: time, seed, and who hears of the progress.
    """
    best = _Best(code, objective, held_out)
    optimiser = torch.optim.AdamW(code.parameters(), lr=_RATE, weight_decay=_WEIGHT_DECAY)
    begin = time.perf_counter()
    first = best.look(0)
    cost_s, looked_s = time.perf_counter() - begin, 0.0
    step = 0
    for rows in _batches(fitting, training.seed):
        spent_s = time.perf_counter() - begin
        if spent_s >= training.seconds:
            break
        optimiser.param_groups[0]["lr"] = _rate(spent_s / training.seconds)
        _descend(code, objective, optimiser, rows)
        step += 1
        if spent_s - looked_s >= max(training.seconds / _LOOKS, _WORK_A_LOOK * cost_s):
            looked_s = spent_s
            training.on_progress(spent_s / training.seconds, best.look(step))
    training.on_progress(1.0, best.look(step))
    best.restore()
    return Losses(first=first, best=best.loss, steps=step, best_step=best.step)


class _Best:
    """The weights with the lowest held-out loss so far."""

    def __init__(self, code: TrainableCode, objective: Objective, held_out: Observed) -> None:
        self._code = code
        self._objective = objective
        self._held_out = held_out
        self._weights: dict[str, torch.Tensor] = {}
        self.loss = math.inf
        self.step = 0

    def look(self, step: int) -> float:
        """Return the held-out loss now, and keep the weights if it is the lowest."""
        loss = self._held_out_loss()
        # Without any weights yet, also a loss that is no number.
        if loss < self.loss or not self._weights:
            self.loss, self.step = loss, step
            self._weights = copy.deepcopy(self._code.state_dict())
        return loss

    def restore(self) -> None:
        """Put the kept weights back."""
        self._code.load_state_dict(self._weights)
        self._code.eval()

    @torch.no_grad()
    def _held_out_loss(self) -> float:
        self._code.eval()
        total = 0.0
        for which in _chunks(np.arange(self._held_out.count), _rows(self._held_out)):
            batch = Batch.of(self._held_out.take(which))
            total += float(self._objective(self._code(batch.boundary), batch)) * len(which)
        self._code.train()
        return total / self._held_out.count


def _descend(code: TrainableCode, objective: Objective, optimiser: torch.optim.Optimizer, rows: Observed) -> None:
    batch = Batch.of(rows)
    optimiser.zero_grad()
    loss = objective(code(batch.boundary), batch)
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without annotations
    torch.nn.utils.clip_grad_norm_(code.parameters(), _LONGEST_GRADIENT)
    optimiser.step()


def _batches(observed: Observed, seed: int) -> Iterator[Observed]:
    """Yield batches without end, the samples in another order each time."""
    generator = np.random.default_rng(seed)
    while True:
        for which in _chunks(generator.permutation(observed.count), _rows(observed)):
            yield observed.take(which)


def _chunks(indices: NDArray[np.intp], rows: int) -> Iterator[NDArray[np.intp]]:
    for start in range(0, len(indices), rows):
        yield indices[start : start + rows]


def _rows(observed: Observed) -> int:
    values = int(observed.boundary[0].size)
    return max(_LEAST_ROWS, min(_MOST_ROWS, _MOST_VALUES // values))


def _rate(share: float) -> float:
    """The learning rate after `share` of the time."""
    return _RATE * min(1.0, share / _WARMING) * (1 + math.cos(math.pi * share)) / 2
