"""What every codec family offers: what it codes, what crosses the link, and the nodes of both sides."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import onnx_ir as ir

from splitnet.codec.bottleneck import Bottleneck
from splitnet.codec.nodes import Nodes
from splitnet.codec.statistics import ValueStatistics
from splitnet.tensors import TensorSpec

#: The largest finite float16.
FLOAT16_MAX = 65504.0


@dataclass(frozen=True, slots=True)
class Subject:
    """The boundary tensor to code, with what its codec may need to know.

    Attributes:
        tensor: the boundary tensor.
        statistics: of its values on calibration data, where there are any.
        bottleneck: learned for it, where there is one.
    """

    tensor: TensorSpec
    statistics: ValueStatistics | None = None
    bottleneck: Bottleneck | None = None

    @property
    def known(self) -> ValueStatistics:
        """The statistics, where the codec has made sure that there are some."""
        assert self.statistics is not None, self.tensor.name
        return self.statistics

    @property
    def sample_size(self) -> int:
        """How many values a sample has; a tensor without a batch axis is one sample."""
        return sample_size(self.tensor)

    @property
    def rows(self) -> int | str:
        """First axis of a wire that holds each sample as a row: the batch, or 1."""
        axis = self.tensor.batch_axis
        return self.tensor.shape[axis] if axis is not None else 1

    @property
    def sizes(self) -> tuple[int, ...]:
        """The tensor's shape as Reshape takes it: -1 for the batch."""
        return tuple(size if isinstance(size, int) else -1 for size in self.tensor.shape)


class Family(ABC):
    """One codec. Its objects hold nothing but how they differ from each other."""

    lossless: ClassVar[bool] = False

    @abstractmethod
    def codes(self, tensor: TensorSpec) -> bool:
        """Whether this codec is meant for tensors of this type and shape; others travel as they are."""

    @abstractmethod
    def refusal(self, subject: Subject) -> str | None:
        """Return why this codec cannot carry a tensor that it `codes`, to follow its name; None where it can."""

    @abstractmethod
    def wires(self, subject: Subject, name: str) -> tuple[TensorSpec, ...]:
        """Return the tensors that cross the link, called `name` or `name.PART`."""

    @abstractmethod
    def encode(self, nodes: Nodes, subject: Subject, source: ir.Value) -> Sequence[ir.Value]:
        """Add the nodes that make the wires of `source`, and return those in order."""

    @abstractmethod
    def decode(self, nodes: Nodes, subject: Subject, wires: Sequence[ir.Value]) -> ir.Value:
        """Add the nodes that make the tensor from its wires, and return it."""


def sample_size(tensor: TensorSpec) -> int:
    """Return how many values a sample has; a tensor without a batch axis is one sample."""
    return prod(size for size in tensor.shape if isinstance(size, int))


def has_rows(tensor: TensorSpec) -> bool:
    """Whether each sample is one contiguous row of values: the batch is axis 0, or there is none."""
    return tensor.batch_axis in (None, 0) and sample_size(tensor) > 0


def no_range(subject: Subject) -> str | None:
    """Return the refusal of a codec that needs the range of the values, None where it is known."""
    if subject.statistics is None:
        return "needs its range; give --calibration data"
    return "needs its range, and calibration data held no finite value" if subject.statistics.is_empty else None
