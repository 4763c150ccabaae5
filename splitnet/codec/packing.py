"""Codes narrower than a byte: 4 bits (`u4`) and one bit (`bits`), several to a byte, each sample a row of bytes.

onnxruntime returns no tensor of 4 bits or of one, so that the graph packs them itself. Two halves of a row become
one of half its length, low + base * high, until its bytes are full. The arithmetic is that of QuantizeLinear and
DequantizeLinear, exact on these integers and the fastest in onnxruntime: it packed 200,704 codes of 4 bits in
0.01 ms, BitShift in 0.04. BitwiseAnd and Add of uint8 are not in opset 13.
"""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from splitnet.codec.affine import channel_quantisation
from splitnet.codec.cast import not_integers
from splitnet.codec.family import Family, Subject, has_rows, no_range
from splitnet.codec.nodes import Nodes
from splitnet.codec.statistics import channel_axis
from splitnet.tensors import TensorSpec

_NIBBLE = 15


class Nibbles(Family):
    """`u4`: an affine code 0 to 15 for each channel, two values to a byte."""

    def codes(self, tensor: TensorSpec) -> bool:
        """Float32 in rows, with an axis of channels."""
        return tensor.dtype == "float32" and has_rows(tensor) and channel_axis(tensor) is not None

    def refusal(self, subject: Subject) -> str | None:
        """Refuse what has no known range."""
        return no_range(subject)

    def wires(self, subject: Subject, name: str) -> tuple[TensorSpec, ...]:
        """Return rows of bytes, half as many as values."""
        return _rows(subject, name, to_byte=2)

    def encode(self, nodes: Nodes, subject: Subject, source: ir.Value) -> Sequence[ir.Value]:
        """Quantise, clip at 15, and pack."""
        wide = channel_quantisation(subject, levels=_NIBBLE).quantise(nodes, source)
        codes = nodes.add("Clip", [wide, None, nodes.constant(np.array(_NIBBLE, np.uint8))])
        return [_pack(nodes, subject, codes, (16,))]

    def decode(self, nodes: Nodes, subject: Subject, wires: Sequence[ir.Value]) -> ir.Value:
        """Unpack and dequantise."""
        codes = _unpack(nodes, subject, wires[0], (16,))
        return channel_quantisation(subject, levels=_NIBBLE).dequantise(nodes, codes)


class Bits(Family):
    """`bits`: values that are 0 or 1, eight to a byte, exact; anything else than 0 is sent as 1."""

    lossless = True

    def codes(self, tensor: TensorSpec) -> bool:
        """Every type, in rows."""
        return has_rows(tensor)

    def refusal(self, subject: Subject) -> str | None:
        """Refuse what did not hold only 0 and 1; a bool holds nothing else."""
        return None if subject.tensor.dtype == "bool" else not_integers(subject, 1)

    def wires(self, subject: Subject, name: str) -> tuple[TensorSpec, ...]:
        """Return rows of bytes, an eighth as many as values."""
        return _rows(subject, name, to_byte=8)

    def encode(self, nodes: Nodes, subject: Subject, source: ir.Value) -> Sequence[ir.Value]:
        """Ask of each value whether it is 0, and pack the answers."""
        if subject.tensor.dtype != "bool":
            # A value beyond 1 must not reach its neighbours' bits.
            source = nodes.add("Cast", [source], to=ir.DataType.BOOL.value)
        codes = nodes.add("Cast", [source], to=ir.DataType.UINT8.value)
        return [_pack(nodes, subject, codes, (2, 4, 16))]

    def decode(self, nodes: Nodes, subject: Subject, wires: Sequence[ir.Value]) -> ir.Value:
        """Unpack and cast to the tensor's type."""
        codes = _unpack(nodes, subject, wires[0], (2, 4, 16))
        dtype = ir.DataType.from_numpy(np.dtype(subject.tensor.dtype))
        return nodes.add("Cast", [codes], to=dtype.value)


def _rows(subject: Subject, name: str, *, to_byte: int) -> tuple[TensorSpec, ...]:
    return (TensorSpec(name, "uint8", (subject.rows, -(-subject.sample_size // to_byte))),)


def _pack(nodes: Nodes, subject: Subject, codes: ir.Value, bases: Sequence[int]) -> ir.Value:
    """Return each sample's codes as a row of bytes, padded with 0.

    Args:
        nodes: where the nodes go.
        subject: the boundary tensor.
        codes: uint8, in the tensor's shape.
        bases: how many values a code has before each halving; 256 after the last.
    """
    count = subject.sample_size
    row = nodes.add("Reshape", [codes, nodes.integers(-1, count)])
    length = -(-count // 2 ** len(bases)) * 2 ** len(bases)
    if length > count:
        row = nodes.add("Pad", [row, nodes.integers(0, 0, 0, length - count)])
    for base in bases:
        length //= 2
        low, high = nodes.add_pair("Split", [row, nodes.integers(length, length)], axis=1)
        row = _quantised(nodes, nodes.add("Add", [_times(nodes, low, 1), _times(nodes, high, base)]), 1)
    return row


def _unpack(nodes: Nodes, subject: Subject, row: ir.Value, bases: Sequence[int]) -> ir.Value:
    """Return the codes that `_pack` made a row of, in the tensor's shape."""
    for base in reversed(bases):
        high = _quotient(nodes, row, base)
        low = nodes.add("Sub", [_times(nodes, row, 1), _times(nodes, high, base)])
        row = nodes.add("Concat", [_quantised(nodes, low, 1), high], axis=1)
    count = subject.sample_size
    if count % 2 ** len(bases):
        row = nodes.add("Slice", [row, nodes.integers(0), nodes.integers(count), nodes.integers(1)])
    return nodes.add("Reshape", [row, nodes.integers(*subject.sizes)])


def _quotient(nodes: Nodes, row: ir.Value, base: int) -> ir.Value:
    """Return floor(row / base), for `base` 2, 4 or 16 and bytes below base * base.

    With row = base * h + l, (row + 1 - base / 2) / (base + 0.01) lies strictly between h - 1/2 and h + 1/2.
    """
    centred = _times(nodes, row, 1, zero_point=base // 2 - 1)
    return _quantised(nodes, centred, base + 0.01)


def _times(nodes: Nodes, source: ir.Value, factor: int, *, zero_point: int = 0) -> ir.Value:
    """Return (source - zero_point) * factor as float32."""
    constants = nodes.constant(np.array(factor, np.float32)), nodes.constant(np.array(zero_point, np.uint8))
    return nodes.add("DequantizeLinear", [source, *constants])


def _quantised(nodes: Nodes, source: ir.Value, divisor: float) -> ir.Value:
    """Return round(source / divisor) as uint8."""
    constants = nodes.constant(np.array(divisor, np.float32)), nodes.constant(np.array(0, np.uint8))
    return nodes.add("QuantizeLinear", [source, *constants])
