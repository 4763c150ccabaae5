"""A sample as it is kept, and many as arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splitnet.tensors import Tensors

#: In `StoredSamples.labels`, where a sample has no label.
NO_LABEL = -1


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample to keep.

    Attributes:
        id: unique in its store.
        inputs: as `Signature.pack` makes them.
        teacher: `[classes]` float32, the class probabilities of the tier that answered; None where that taught
            nothing, as the device's own answers and fallbacks do not.
        tier: who answered.
        label: a person's; a sample has a teacher, a label, or both.
        time_s: when it was answered, seconds since 1970.
    """

    id: int
    inputs: bytes
    teacher: NDArray[np.float32] | None
    tier: str
    label: int | None
    time_s: float


@dataclass(frozen=True, slots=True)
class StoredSamples:
    """Samples of a store.

    Attributes:
        ids: `[n]` int64, ascending.
        inputs: by name, samples along each batch axis.
        teachers: `[n, classes]` float32; NaN where a sample has no teacher.
        labels: `[n]` int64; `NO_LABEL` where a sample has none.
    """

    ids: NDArray[np.int64]
    inputs: Tensors
    teachers: NDArray[np.float32]
    labels: NDArray[np.int64]
