"""Codecs without parameters: the tensor as it is, float16, and integers in a byte."""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from splitnet.codec.family import FLOAT16_MAX, Family, Subject
from splitnet.codec.nodes import Nodes
from splitnet.tensors import TensorSpec


class AsIs(Family):
    """`none`: no nodes."""

    lossless = True

    def codes(self, tensor: TensorSpec) -> bool:  # noqa: ARG002
        """Everything."""
        return True

    def refusal(self, subject: Subject) -> str | None:  # noqa: ARG002
        """Refuse nothing."""
        return None

    def wires(self, subject: Subject, name: str) -> tuple[TensorSpec, ...]:  # noqa: ARG002
        """Return the tensor under its own name."""
        return (subject.tensor,)

    def encode(self, nodes: Nodes, subject: Subject, source: ir.Value) -> Sequence[ir.Value]:  # noqa: ARG002
        """Return the tensor."""
        return [source]

    def decode(self, nodes: Nodes, subject: Subject, wires: Sequence[ir.Value]) -> ir.Value:  # noqa: ARG002
        """Return the wire."""
        return wires[0]


class Float16(Family):
    """`f16`: a cast to float16, which rounds to nearest, ties to even."""

    def codes(self, tensor: TensorSpec) -> bool:
        """Float32."""
        return tensor.dtype == "float32"

    def refusal(self, subject: Subject) -> str | None:
        """Refuse values that would become infinity."""
        seen = subject.statistics
        if seen is not None and not seen.is_empty and max(-seen.low, seen.high) > FLOAT16_MAX:
            return f"holds up to {FLOAT16_MAX:g}, and values lie between {seen.low:g} and {seen.high:g}"
        return None

    def wires(self, subject: Subject, name: str) -> tuple[TensorSpec, ...]:
        """Return the tensor as float16."""
        return (TensorSpec(name, "float16", subject.tensor.shape),)

    def encode(self, nodes: Nodes, subject: Subject, source: ir.Value) -> Sequence[ir.Value]:  # noqa: ARG002
        """Cast to float16."""
        return [nodes.add("Cast", [source], to=ir.DataType.FLOAT16.value)]

    def decode(self, nodes: Nodes, subject: Subject, wires: Sequence[ir.Value]) -> ir.Value:  # noqa: ARG002
        """Cast to float32."""
        return nodes.add("Cast", wires, to=ir.DataType.FLOAT.value)


class Byte(Family):
    """`byte`: integers 0 to 255 of a wider type, exact; what was never seen, rounded and saturated."""

    lossless = True

    def codes(self, tensor: TensorSpec) -> bool:
        """What is wider than a byte."""
        return np.dtype(tensor.dtype).itemsize > 1

    def refusal(self, subject: Subject) -> str | None:
        """Refuse what did not hold only integers of a byte."""
        return not_integers(subject, 255)

    def wires(self, subject: Subject, name: str) -> tuple[TensorSpec, ...]:
        """Return the tensor as uint8."""
        return (TensorSpec(name, "uint8", subject.tensor.shape),)

    def encode(self, nodes: Nodes, subject: Subject, source: ir.Value) -> Sequence[ir.Value]:
        """Quantise with a scale of 1: unlike a cast, which wraps around, it saturates, and is as fast."""
        if subject.tensor.dtype != "float32":
            source = nodes.add("Cast", [source], to=ir.DataType.FLOAT.value)
        one, zero = nodes.constant(np.array(1, np.float32)), nodes.constant(np.array(0, np.uint8))
        return [nodes.add("QuantizeLinear", [source, one, zero])]

    def decode(self, nodes: Nodes, subject: Subject, wires: Sequence[ir.Value]) -> ir.Value:
        """Cast to the tensor's type."""
        return nodes.add("Cast", wires, to=ir.DataType.from_numpy(np.dtype(subject.tensor.dtype)).value)


def not_integers(subject: Subject, most: int) -> str | None:
    """Return the refusal of a codec that is exact on integers 0 to `most`, None where only those were seen."""
    seen = subject.statistics
    if seen is None:
        return "needs to know its values; give --calibration data"
    if seen.is_empty or not seen.integral or seen.low < 0 or seen.high > most:
        return f"carries integers 0 to {most}, and calibration data held others"
    return None
