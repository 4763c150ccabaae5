"""A package that learns on its device, and stores of samples to learn from."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from splitnet.cost import default_site
from splitnet.learn.local import LocalJob
from splitnet.learn.settings import LocalSettings
from splitnet.learn.store import Limits, Sample, SampleKeeper, Signature
from splitnet.learn.vector import Vector, flatten
from splitnet.package import TrainingEntry, open_package
from splitnet.partition import PartitionOptions, partition
from splitnet.tensors import Array
from tests.programs.classifier import CLASSES, CUTS, NAME, build, draw

Answers = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Trainable:
    """A package, what learns in it, and the values that it starts from."""

    path: Path
    training: TrainingEntry
    start: Vector
    signature: Signature
    threshold: float

    def job(self, store: Path, **changes: Any) -> LocalJob:
        """A job; fields of its settings are changed by their names too."""
        settings = {key: changes.pop(key) for key in list(changes) if key in LocalSettings.model_fields}
        job = LocalJob(self.path, store, self.start, LocalSettings.model_validate(settings), clip=1e9)
        return replace(job, **changes)


@pytest.fixture(scope="session")
def trainable(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trainable]:
    """Makes the package of each scope once."""
    folder = tmp_path_factory.mktemp("trainable")
    model, calibration = folder / "model.onnx", folder / "calibration.npz"
    model.write_bytes(build())
    x, labels = draw(1500, seed=2)
    np.savez(calibration, x=x, labels=labels)
    made: dict[str, Trainable] = {}

    def make(scope: Literal["exits", "segment"]) -> Trainable:
        job = PartitionOptions(
            model,
            folder / f"{scope}.split",
            default_site(),
            name=NAME,
            calibration=calibration,
            cuts=CUTS,
            codec="none",
            epsilon=0.02,
            profile_s=0.05,
            trainable=scope,
        )
        return _read(partition(job).package.path)

    return lambda scope: (
        made.get(scope) or made.setdefault(scope, make("exits" if scope == "exits" else "segment"))
    )


def _read(path: Path) -> Trainable:
    package = open_package(path)
    training = package.manifest.training[0]
    segment = package.manifest.segment_of("device")
    entry = package.manifest.exit_of(training.segment)
    assert segment is not None
    assert entry is not None
    initialisers = onnx.load_from_string((path / segment.file).read_bytes()).graph.initializer
    values = {each.name: numpy_helper.to_array(each) for each in initialisers}
    start = flatten(training.parameters, {each.name: values[each.name] for each in training.parameters})
    return Trainable(path, training, start, Signature.of(package.manifest, CLASSES), entry.threshold)


@pytest.fixture(scope="session")
def exits(trainable: Callable[[str], Trainable]) -> Trainable:
    return trainable("exits")


def sharpened(x: Array) -> Answers:
    """A teacher: its probabilities of `[n, FEATURES]`."""
    centres = np.random.default_rng(7).standard_normal((CLASSES, x.shape[1]))
    distances = ((x[:, None] - centres) ** 2).sum(axis=2)
    logits = -distances / 2
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    answers: Answers = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return answers


@dataclass(frozen=True, slots=True)
class Shelf:
    """A store, and what is in it."""

    path: Path
    x: Array
    teachers: Answers
    labels: dict[int, int]


def fill(
    path: Path, signature: Signature, count: int, *, labels: dict[int, int] | None = None, seed: int = 11
) -> Shelf:
    """Keep `count` samples with ids from 0 on; those in `labels` have one."""
    x = draw(300, seed=seed)[0][:count]
    teachers, labels = sharpened(x), labels or {}
    with SampleKeeper(path, signature, Limits(2**24)) as store:
        store.add(
            [
                Sample(i, signature.pack({"x": x}, i), teachers[i], "cloud", labels.get(i), time_s=float(i))
                for i in range(count)
            ]
        )
    return Shelf(path, x, teachers, labels)
