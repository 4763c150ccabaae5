"""Fitting a head's layers: AdamW on an ONNX graph of one step, its rate on a cosine, the best weights kept."""

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splitnet.learn.heads.head import LAYERS_PREFIX, Layers
from splitnet.learn.step import Subject, training_graphs
from splitnet.onnx_session import OnnxSession
from splitnet.package import state_of
from splitnet.tensors import Tensors

_log = logging.getLogger(__name__)

_RATE = 3e-3
# This share of the steps the learning rate rises from 0.
_WARMING = 0.05
_WEIGHT_DECAY = 0.02
_BATCH = 64
_EPOCHS, _LEAST_STEPS, _MOST_STEPS = 50, 800, 3000
# So often the judging samples are looked at.
_LOOKS = 50

_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Fitting:
    """How to fit.

    Attributes:
        seconds: at most; as many steps are made as the samples call for, which is usually done sooner.
        seed: of the order and of the first weights.
    """

    seconds: float = 60.0
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Samples for a head. Compared by identity.

    Attributes:
        features: scaled, float32 `[n, features]`.
        targets: probabilities, float32 `[n, classes]`.
    """

    features: _Floats
    targets: _Floats


def fit(layers: Layers, rows: Rows, judging: Rows, *, fitting: Fitting) -> Layers:
    """Return what `layers` become in training; of all that was seen, that which predicts `judging` best.

    The same arguments give the same weights, unless the time runs out.

    Args:
        layers: to start from.
        rows: samples to learn from.
        judging: samples that choose among the weights.
        fitting: time and seed.
    """
    batch = min(_BATCH, len(rows.features))
    steps = min(max(_EPOCHS * len(rows.features) // batch, _LEAST_STEPS), _MOST_STEPS)
    generator = np.random.default_rng(fitting.seed)
    optimiser, end = _AdamW(layers), time.monotonic() + fitting.seconds
    best, least = layers, math.inf
    for step, which in zip(range(1, steps + 1), _batches(len(rows.features), batch, generator), strict=False):
        optimiser.step(Rows(rows.features[which], rows.targets[which]), _rate(step / steps))
        late = time.monotonic() >= end
        if step % max(1, steps // _LOOKS) == 0 or step == steps or late:
            loss = _loss(optimiser.layers, judging)
            best, least = (optimiser.layers, loss) if loss < least else (best, least)
        if late:
            _log.info("a head's training ended at step %d of %d: its time is over", step, steps)
            break
    return best


class _AdamW:
    """Layers in training: Adam's step as a graph, and weight decay beside it (Loshchilov and Hutter, 2019)."""

    def __init__(self, layers: Layers) -> None:
        graphs = training_graphs(Subject(layers.model(), "logits", probabilities=False, scope="segment"))
        self._session = OnnxSession(graphs.steps["adam"], name="a head's training step")
        self._values = {f"{LAYERS_PREFIX}.{name}": array for name, array in layers.tensors.items()}
        self._state: Tensors = {
            entry.name: np.zeros([int(size) for size in entry.shape], np.float32)
            for entry in state_of("adam", graphs.parameters)
        }

    @property
    def layers(self) -> Layers:
        """What they have become."""
        return Layers(**{name.removeprefix(f"{LAYERS_PREFIX}."): array for name, array in self._values.items()})

    def step(self, rows: Rows, rate: float) -> None:
        """Learn from one batch."""
        made = self._session.run(
            self._values
            | self._state
            | {f"anchor/{name}": array for name, array in self._values.items()}
            | {
                "features": rows.features,
                "train/targets": rows.targets,
                "train/weights": np.ones(len(rows.features), np.float32),
                "train/learning_rate": np.array(rate, np.float32),
                "train/proximal": np.zeros((), np.float32),
            }
        )
        self._state = {name: made[f"next/{name}"] for name in self._state}
        for name, old in self._values.items():
            decay = np.float32(rate * _WEIGHT_DECAY if old.ndim > 1 else 0.0)
            self._values[name] = made[f"next/{name}"] - decay * old


def _batches(count: int, batch: int, generator: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Yield batches without end, the samples in another order each time; what is left over waits for the next."""
    while True:
        order = generator.permutation(count)
        for start in range(0, count - batch + 1, batch):
            yield order[start : start + batch]


def _loss(layers: Layers, rows: Rows) -> float:
    """The mean cross-entropy."""
    logits = layers(rows.features)
    logits = logits - logits.max(axis=1, keepdims=True)
    normal = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return float(-(rows.targets * normal).sum(axis=1).mean())


def _rate(share: float) -> float:
    """The learning rate after `share` of the steps."""
    return _RATE * min(1.0, share / _WARMING) * (1 + math.cos(math.pi * share)) / 2
