"""Samples to keep, and stores to keep them in."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splitnet.learn.store import Limits, Sample, SampleKeeper, Signature
from splitnet.tensors import TensorSpec

CLASSES = 3


def signature(*shape: int, model: str = "m", classes: int = CLASSES) -> Signature:
    """A model with one float32 input of that shape a sample, and one of flags with its batch axis last."""
    inputs = (TensorSpec("x", "float32", ("batch", *shape)), TensorSpec("flags", "uint8", (2, "batch")))
    return Signature(model, inputs, classes)


SMALL = signature(4)


def values(sample_id: int, kind: Signature = SMALL) -> dict[str, np.ndarray]:
    """The inputs of a sample, a batch of one, which tell its id."""
    shape = [size for size in kind.inputs[0].shape if isinstance(size, int)]
    x = np.random.default_rng(sample_id).standard_normal([1, *shape]).astype(np.float32)
    return {"x": x, "flags": np.array([[sample_id % 256], [sample_id // 256 % 256]], np.uint8)}


def sample(sample_id: int, kind: Signature = SMALL, **fields: Any) -> Sample:
    """A sample that the cloud answered, unless `fields` say otherwise."""
    given: dict[str, Any] = {"tier": "cloud", "label": None, "time_s": 1e9 + sample_id}
    given |= {"teacher": teacher(sample_id, kind)} | fields
    return Sample(id=sample_id, inputs=kind.pack(values(sample_id, kind), 0), **given)


def teacher(sample_id: int, kind: Signature = SMALL) -> NDArray[np.float32]:
    """The probabilities of a sample's teacher."""
    return np.random.default_rng(sample_id).dirichlet(np.ones(kind.classes)).astype(np.float32)


def keeper(path: Path, kind: Signature = SMALL, *, limit_bytes: int = 2**20, **limits: Any) -> SampleKeeper:
    return SampleKeeper(path, kind, Limits(limit_bytes, **limits))
