"""Affine codes of 8 bits: one scale and zero point for the tensor (`u8`) or for each channel (`u8c`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from splitnet.codec.family import Family, Subject, no_range
from splitnet.codec.nodes import Nodes
from splitnet.codec.statistics import channel_axis
from splitnet.tensors import TensorSpec

_SMALLEST_SCALE = np.finfo(np.float32).tiny


@dataclass(frozen=True, slots=True, eq=False)
class Quantisation:
    """How floats become the integers 0 to `levels`: *q* = clip(round(*x* / scale) + zero point, 0, levels).

    Attributes:
        scale: float32, `[]` or `[channels]`.
        zero_point: uint8, of the same shape: the integer that 0.0 becomes.
        axis: the channels' axis; None with one scale.
    """

    scale: NDArray[np.float32]
    zero_point: NDArray[np.uint8]
    axis: int | None = None

    def constants(self, nodes: Nodes) -> tuple[ir.Value, ir.Value]:
        """Return scale and zero point as constants."""
        return nodes.constant(self.scale), nodes.constant(self.zero_point)

    def quantise(self, nodes: Nodes, source: ir.Value) -> ir.Value:
        """Add QuantizeLinear: `source` as uint8, ties to even, saturated at 0 and 255 (whatever `levels` is)."""
        return nodes.add("QuantizeLinear", [source, *self.constants(nodes)], **self._attributes())

    def dequantise(self, nodes: Nodes, source: ir.Value) -> ir.Value:
        """Add DequantizeLinear: float32 (*q* - zero point) * scale."""
        return nodes.add("DequantizeLinear", [source, *self.constants(nodes)], **self._attributes())

    def _attributes(self) -> dict[str, int]:
        return {} if self.axis is None else {"axis": self.axis}


def quantisation(
    low: float | NDArray[np.float64],
    high: float | NDArray[np.float64],
    *,
    levels: int = 255,
    axis: int | None = None,
) -> Quantisation:
    """Return the affine code 0 to `levels` that covers `low` to `high`, widened to hold 0, which it keeps exactly.

    A scale is a normal float32, and 1 where the range is only 0.
    """
    floor, top = np.minimum(low, 0.0), np.maximum(high, 0.0)
    step = np.asarray((top - floor) / levels)
    scale = np.where(step == 0, 1.0, np.maximum(step, _SMALLEST_SCALE)).astype(np.float32)
    zero_point = np.clip(np.rint(-floor / scale.astype(np.float64)), 0, levels)
    return Quantisation(scale, np.asarray(zero_point, np.uint8), axis)


def tensor_quantisation(subject: Subject, *, levels: int = 255) -> Quantisation:
    """Return the code with one scale for the tensor."""
    return quantisation(subject.known.low, subject.known.high, levels=levels)


def channel_quantisation(subject: Subject, *, levels: int = 255) -> Quantisation:
    """Return the code with a scale for each channel; one that was 0 on all calibration data takes the tensor's."""
    seen = subject.known
    assert seen.channel_low is not None, subject.tensor.name
    assert seen.channel_high is not None, subject.tensor.name
    silent = (seen.channel_low >= 0) & (seen.channel_high <= 0)
    low = np.where(silent, seen.low, seen.channel_low)
    high = np.where(silent, seen.high, seen.channel_high)
    return quantisation(low, high, levels=levels, axis=channel_axis(subject.tensor))


@dataclass(frozen=True, slots=True)
class Affine(Family):
    """`u8`, `u8c`: QuantizeLinear to uint8."""

    by_channel: bool

    def codes(self, tensor: TensorSpec) -> bool:
        """Float32, and for a scale a channel with an axis of channels."""
        return tensor.dtype == "float32" and (not self.by_channel or channel_axis(tensor) is not None)

    def refusal(self, subject: Subject) -> str | None:
        """Refuse what has no known range."""
        return no_range(subject)

    def wires(self, subject: Subject, name: str) -> tuple[TensorSpec, ...]:
        """Return the tensor as uint8."""
        return (TensorSpec(name, "uint8", subject.tensor.shape),)

    def encode(self, nodes: Nodes, subject: Subject, source: ir.Value) -> Sequence[ir.Value]:
        """Quantise."""
        return [self._quantisation(subject).quantise(nodes, source)]

    def decode(self, nodes: Nodes, subject: Subject, wires: Sequence[ir.Value]) -> ir.Value:
        """Dequantise."""
        return self._quantisation(subject).dequantise(nodes, wires[0])

    def _quantisation(self, subject: Subject) -> Quantisation:
        return channel_quantisation(subject) if self.by_channel else tensor_quantisation(subject)
