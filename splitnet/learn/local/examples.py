"""From the store to what the optimiser's steps take: features, targets, and which samples are held out."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import ConfigError
from splitnet.learn.store import NO_LABEL, SampleStore, Signature, StoredSamples
from splitnet.onnx_session import OnnxSession
from splitnet.package import Package, TrainingEntry
from splitnet.tensors import Array, Tensors, TensorSpec, take_samples

# Inputs are read from the store, and features computed, so many samples at a time.
_AT_A_TIME = 64

# One sample in five is held out, if there are enough that the rest is worth training on.
_HELD_OUT_OF = 5
_ENOUGH = 20

# The teacher's probabilities as they were stored add up to 1 within this.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Examples:
    """Samples as a step takes them.

    Attributes:
        specs: of the step's inputs.
        inputs: by name, samples along each batch axis.
        targets: `[n, classes]` float32, rows of probabilities.
        classes: `[n]`, which one is right: the label, or the teacher's most probable.
        ids: `[n]`, ascending.
    """

    specs: tuple[TensorSpec, ...]
    inputs: Tensors
    targets: NDArray[np.float32]
    classes: NDArray[np.intp]
    ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, which: NDArray[np.intp]) -> "Examples":
        """Return the samples at the places `which`."""
        inputs = {spec.name: take_samples(spec, self.inputs[spec.name], which) for spec in self.specs}
        return Examples(self.specs, inputs, self.targets[which], self.classes[which], self.ids[which])


def load_examples(
    package: Package, training: TrainingEntry, store: SampleStore, *, most: int | None, seed: int
) -> tuple[Examples, int]:
    """Read samples and compute what training needs of them; return them and how many were left out for NaN.

    Args:
        package: whose frozen part makes the features.
        training: what learns.
        store: the samples.
        most: draw so many where there are more.
        seed: of the draw.

    Raises:
        ConfigError: the store holds another model's samples.
        PackageError: the package is damaged.
        OperatorError: the store is damaged.
    """
    expected = Signature.of(package.manifest, training.classes)
    if store.signature != expected:
        raise ConfigError(f"{store.path}: holds samples of {store.signature}, but {package.path} is of {expected}")
    features = training.features
    session = None if features is None else OnnxSession(package.read_file(features), name=features.file)
    ids = store.pick(most, seed=seed % 2**63)
    # An empty part, should there be no sample at all, has the right shapes.
    starts = range(0, max(1, len(ids)), _AT_A_TIME)
    parts = [_examples(store.read(ids[start : start + _AT_A_TIME]), training, session) for start in starts]
    examples = _joined(parts)
    whole = np.flatnonzero(_finite(examples))
    return examples.take(whole), len(examples) - len(whole)


def hold_out(examples: Examples, seed: int) -> tuple[Examples, Examples]:
    """Return the samples to train on, and those to judge by: the same where there are too few to spare any.

    Which are held out depends on the seed and each sample's id alone, hence not on the round.
    """
    held = np.array([_drawn(seed, sample_id) % _HELD_OUT_OF == 0 for sample_id in examples.ids.tolist()], np.bool_)
    if len(examples) < _ENOUGH or not 0 < held.sum() <= len(examples) / 2:
        return examples, examples
    return examples.take(np.flatnonzero(~held)), examples.take(np.flatnonzero(held))


def _drawn(seed: int, sample_id: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"held out/{seed}/{sample_id}".encode(), digest_size=8).digest(), "big")


def _examples(stored: StoredSamples, training: TrainingEntry, session: OnnxSession | None) -> Examples:
    specs = tuple(entry.to_spec() for entry in training.inputs)
    if session is None:
        made = stored.inputs
    elif len(stored.ids):
        made = session.run(stored.inputs)
    else:
        made = {spec.name: _no_values(spec) for spec in specs}
    labelled = stored.labels != NO_LABEL
    targets = stored.teachers.copy()
    targets[labelled] = np.eye(training.classes, dtype=np.float32)[stored.labels[labelled]]
    inputs = {spec.name: made[spec.name] for spec in specs}
    return Examples(specs, inputs, targets, np.argmax(targets, axis=1), stored.ids)


def _no_values(spec: TensorSpec) -> Array:
    return np.zeros([size if isinstance(size, int) else 0 for size in spec.shape], spec.dtype)


def _joined(parts: Sequence[Examples]) -> Examples:
    first = parts[0]
    inputs = {
        spec.name: np.concatenate([part.inputs[spec.name] for part in parts], axis=spec.batch_axis or 0)
        for spec in first.specs
    }
    return Examples(
        first.specs,
        inputs,
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.classes for part in parts]),
        np.concatenate([part.ids for part in parts]),
    )


def _finite(examples: Examples) -> NDArray[np.bool_]:
    """Whether a sample's features are finite and its target is a distribution, `[n]`."""
    sums = examples.targets.sum(axis=1)
    fit: NDArray[np.bool_] = (np.abs(sums - 1) <= _SUM_TOLERANCE) & (examples.targets >= 0).all(axis=1)
    for spec in examples.specs:
        values = examples.inputs[spec.name]
        if np.issubdtype(values.dtype, np.floating):
            others = tuple(axis for axis in range(values.ndim) if axis != spec.batch_axis)
            fit &= np.isfinite(values).all(axis=others)
    return fit
