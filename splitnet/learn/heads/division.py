"""Which calibration samples train an exit's head, and which are kept from it to choose its threshold.

A sample's place follows from its own bytes and a seed: so samples that occur twice never lie on both sides, and
whoever has the file and the seed finds the same division again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import InvalidArgumentError
from splitnet.samples import Samples
from splitnet.tensors import take_samples


@dataclass(frozen=True, slots=True)
class Division:
    """Samples in two parts without a sample in common.

    Attributes:
        training: what heads learn from.
        held_out: what no head has seen.
    """

    training: Samples
    held_out: Samples


def divide(samples: Samples, *, held_out: int, seed: int) -> Division:
    """Divide `samples`: what is held out in the order of the file, what trains in an order by chance.

    Args:
        samples: at least one of whose inputs has a batch axis.
        held_out: how many samples no head shall see; more where equal samples would lie on both sides.
        seed: of the division.

    Raises:
        InvalidArgumentError: one of the parts would be empty.
    """
    digests = _digests(samples, seed)
    ranked = sorted(digests)
    last = ranked[min(max(held_out, 1), len(ranked)) - 1]
    kept = np.array([digest <= last for digest in digests], np.bool_)
    if not 0 < kept.sum() < samples.count:
        raise InvalidArgumentError(
            f"{samples.count} calibration samples, {len(set(digests))} of them different, cannot be divided into "
            f"{held_out} that choose thresholds and others that train: give more of them with --calibration"
        )
    training = sorted(np.flatnonzero(~kept).tolist(), key=digests.__getitem__)
    return Division(_part(samples, np.array(training, np.intp)), _part(samples, np.flatnonzero(kept)))


def _digests(samples: Samples, seed: int) -> Sequence[bytes]:
    """A digest of every sample's inputs; labels are left out, since equal inputs belong together."""
    batched = [spec for spec in samples.specs if spec.batch_axis is not None]
    made = [hashlib.sha256(seed.to_bytes(16, "little", signed=True)) for _ in range(samples.count)]
    for spec in batched:
        array = samples.inputs[spec.name]
        for index, digest in enumerate(made):
            digest.update(take_samples(spec, array, np.array([index])).tobytes())
    return [digest.digest() for digest in made]


def _part(samples: Samples, which: NDArray[np.intp]) -> Samples:
    inputs = {spec.name: take_samples(spec, samples.inputs[spec.name], which) for spec in samples.specs}
    labels = None if samples.labels is None else samples.labels[which]
    return Samples(samples.specs, inputs, labels, int(which.size))
