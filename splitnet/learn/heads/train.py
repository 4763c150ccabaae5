"""Training heads at several places on the same samples, and trying each on samples that did not train it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from splitnet.learn.heads.choose import Trial
from splitnet.learn.heads.fit import Fitting, Rows, fit
from splitnet.learn.heads.head import Head, Layers, Scaling
from splitnet.learn.heads.places import Place
from splitnet.tensors import Tensors

# One of so many parts of the samples chooses among the weights that the others made.
_PARTS = 5

_Floats = NDArray[np.float32]
_Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What the model says of samples, and what is true. Compared by identity.

    Attributes:
        likely: the whole model's probabilities, float32 `[n, classes]`.
        labels: the true classes, `[n]` integers, or None.
    """

    likely: _Floats
    labels: NDArray[np.integer] | None

    @property
    def targets(self) -> _Floats:
        """What heads learn to say, `[n, classes]`: halfway from the model's answer to the truth, where known."""
        if self.labels is None:
            return self.likely
        truth: _Floats = np.eye(self.likely.shape[1], dtype=np.float32)[self.labels]
        return (self.likely + truth) / np.float32(2)

    def take(self, which: NDArray[np.intp]) -> "Answers":
        """Return those of the samples `which`."""
        return Answers(self.likely[which], None if self.labels is None else self.labels[which])

    def costly(self, scores: _Floats) -> NDArray[np.bool_]:
        """Return where `scores` `[n, classes]` are wrong and the model is right."""
        final = self.likely.argmax(axis=1)
        truth = final if self.labels is None else self.labels
        costly: NDArray[np.bool_] = (scores.argmax(axis=1) != truth) & (final == truth)
        return costly


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A head that was trained. Compared by identity.

    Attributes:
        place: where it sits.
        head: ready to be attached.
        trial: what it did, or others made like it, on samples that did not train them.
    """

    place: Place
    head: Head
    trial: Trial


def train_heads(
    places: Sequence[Place],
    features: Tensors,
    answers: Answers,
    *,
    fitting: Fitting,
    on_progress: Callable[[float], None] = lambda _share: None,
) -> tuple[Candidate, ...]:
    """Train a head at each of `places`.

    Where there are several to choose among, four more of each are trained, so that every sample has been tried by
    one that it did not train.

    Args:
        places: in order of depth.
        features: what each place's form makes of the samples, by the place's tensor: float32 `[n, features]`.
        answers: to the same samples.
        fitting: time for all heads together, and seed.
        on_progress: called with the share of the work that is done, 0.0 to 1.0.
    """
    order = np.random.default_rng(fitting.seed).permutation(len(answers.likely))
    parts = np.array_split(order, _PARTS)
    turns = parts if len(places) > 1 else parts[:1]
    count, end = len(places) * len(turns), time.monotonic() + fitting.seconds
    made = []
    for index, place in enumerate(places):
        heads, logits = [], []
        for turn, part in enumerate(turns, start=index * len(turns)):
            each = replace(fitting, seconds=(end - time.monotonic()) / (count - turn))
            division = np.setdiff1d(order, part), part
            head, said = _train(place, features[place.tensor], answers, division, each)
            heads.append(head)
            logits.append(said)
            on_progress((turn + 1) / count)
        trial = _trial(place, np.concatenate(logits), answers.take(np.concatenate(turns)))
        made.append(Candidate(place, heads[0], trial))
    return tuple(made)


def _train(
    place: Place, features: _Floats, answers: Answers, division: tuple[_Indices, _Indices], fitting: Fitting
) -> tuple[Head, _Floats]:
    """Return a head that learned from one part of the samples, and its logits of the other."""
    learning, judging = division
    scaling = Scaling.of(features[learning])
    scaled = scaling(features)
    layers = fit(
        Layers.seeded(features.shape[1], answers.likely.shape[1], seed=fitting.seed),
        Rows(scaled[learning], answers.targets[learning]),
        Rows(scaled[judging], answers.targets[judging]),
        fitting=fitting,
    )
    return Head(place.form, scaling, layers), layers(scaled[judging])


def _trial(place: Place, logits: _Floats, answers: Answers) -> Trial:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return Trial(place.share, 1 / powers.sum(axis=1), answers.costly(logits))
