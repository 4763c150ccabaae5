"""The model that a store's samples belong to, and one sample's inputs as bytes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from splitnet.errors import ConfigError
from splitnet.package import Manifest, TensorEntry
from splitnet.tensors import BATCH, Tensors, TensorSpec


@dataclass(frozen=True, slots=True)
class Signature:
    """What must be the same for samples to be of use: versions of a model share it.

    Attributes:
        model: the model's name.
        inputs: the model's inputs, each with a batch axis.
        classes: how many a teacher's probabilities, or a label, are of.
    """

    model: str
    inputs: tuple[TensorSpec, ...]
    classes: int

    def __post_init__(self) -> None:
        for spec in self.inputs:
            if spec.batch_axis is None:
                raise ConfigError(
                    f"model {self.model!r}: input {spec.name!r} {list(spec.shape)} has no axis {BATCH!r}, but "
                    "samples are kept one by one; cut a model that was exported with an open batch axis"
                )

    @classmethod
    def of(cls, manifest: Manifest, classes: int) -> Self:
        """Return the signature of a package whose answers, or exit, are of so many classes."""
        return cls(manifest.model.name, tuple(entry.to_spec() for entry in manifest.model.inputs), classes)

    @property
    def sample_nbytes(self) -> int:
        """Bytes of one sample's inputs."""
        return sum(spec.sample_nbytes for spec in self.inputs)

    def pack(self, tensors: Tensors, index: int) -> bytes:
        """Return sample `index` of `tensors`, which fit `inputs`: each input in C order, one after the other."""
        return b"".join(tensors[spec.name].take(index, axis=spec.batch_axis).tobytes() for spec in self.inputs)

    def unpack(self, samples: Sequence[bytes]) -> Tensors:
        """Return packed samples as one batch; the opposite of `pack`."""
        rows = np.frombuffer(b"".join(samples), np.uint8).reshape(len(samples), self.sample_nbytes)
        tensors, start = {}, 0
        for spec in self.inputs:
            stop = start + spec.sample_nbytes
            shape = [size for size in spec.shape if isinstance(size, int)]
            values = np.ascontiguousarray(rows[:, start:stop]).view(spec.dtype).reshape(len(samples), *shape)
            tensors[spec.name] = np.ascontiguousarray(np.moveaxis(values, 0, spec.batch_axis or 0))
            start = stop
        return tensors

    def to_json(self) -> str:
        """Return it as canonical JSON, which is the same text for the same signature."""
        inputs = [TensorEntry.from_spec(spec).model_dump(mode="json") for spec in self.inputs]
        document = {"model": self.model, "inputs": inputs, "classes": self.classes}
        return json.dumps(document, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the signature of `to_json`; ValueError, KeyError or TypeError on anything else."""
        document = json.loads(text)
        inputs = tuple(TensorEntry.model_validate(entry).to_spec() for entry in document["inputs"])
        return cls(str(document["model"]), inputs, int(document["classes"]))

    def __str__(self) -> str:
        inputs = ", ".join(f"{spec.name} {spec.dtype} {list(spec.shape)}" for spec in self.inputs)
        return f"model {self.model!r} with inputs {inputs} and {self.classes} classes"
