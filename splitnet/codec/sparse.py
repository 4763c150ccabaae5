"""`topk`: of each sample, the sixteenth of the values with the largest magnitudes; the others become 0."""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from splitnet.codec.cast import Float16
from splitnet.codec.family import Family, Subject, has_rows
from splitnet.codec.nodes import Nodes
from splitnet.tensors import TensorSpec

_ONE_IN = 16
# A place in a sample of so many values fits uint16.
_UINT16_PLACES = 2**16


class TopK(Family):
    """`topk`: float16 values and where they stand in the flattened sample, in no particular order."""

    def codes(self, tensor: TensorSpec) -> bool:
        """Float32 in rows."""
        return tensor.dtype == "float32" and has_rows(tensor)

    def refusal(self, subject: Subject) -> str | None:
        """Refuse values that float16 would make infinity."""
        return Float16().refusal(subject)

    def wires(self, subject: Subject, name: str) -> tuple[TensorSpec, ...]:
        """Return `NAME.values` and `NAME.indices`."""
        shape = (subject.rows, _kept(subject))
        places = "uint16" if subject.sample_size <= _UINT16_PLACES else "int32"
        return TensorSpec(f"{name}.values", "float16", shape), TensorSpec(f"{name}.indices", places, shape)

    def encode(self, nodes: Nodes, subject: Subject, source: ir.Value) -> Sequence[ir.Value]:
        """Find the largest magnitudes and take the values from their places."""
        row = nodes.add("Reshape", [source, nodes.integers(-1, subject.sample_size)])
        magnitude = nodes.add("Abs", [row])
        # Sorted, it takes half as long again.
        kept = nodes.integers(_kept(subject))
        _, places = nodes.add_pair("TopK", [magnitude, kept], axis=1, sorted=0)
        values = nodes.add("GatherElements", [row, places], axis=1)
        _, indices = self.wires(subject, "")
        return (
            nodes.add("Cast", [values], to=ir.DataType.FLOAT16.value),
            nodes.add("Cast", [places], to=ir.DataType.from_numpy(np.dtype(indices.dtype)).value),
        )

    def decode(self, nodes: Nodes, subject: Subject, wires: Sequence[ir.Value]) -> ir.Value:
        """Scatter the values into zeros."""
        values, indices = wires
        rows = nodes.add("Gather", [nodes.add("Shape", [values]), nodes.integers(0)])
        shape = nodes.add("Concat", [rows, nodes.integers(subject.sample_size)], axis=0)
        zeros = nodes.add("Expand", [nodes.constant(np.array([0], np.float32)), shape])
        places = nodes.add("Cast", [indices], to=ir.DataType.INT64.value)
        wide = nodes.add("Cast", [values], to=ir.DataType.FLOAT.value)
        row = nodes.add("ScatterElements", [zeros, places, wide], axis=1)
        return nodes.add("Reshape", [row, nodes.integers(*subject.sizes)])


def _kept(subject: Subject) -> int:
    return -(-subject.sample_size // _ONE_IN)
