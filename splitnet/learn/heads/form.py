"""What a head makes of a tensor before its trainable layers: features, `[batch, features]`."""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from splitnet.codec.nodes import Nodes
from splitnet.tensors import BATCH, TensorSpec

#: A head has at most so many features, so that its first layer stays small; fewer cells are pooled to get there.
MOST_FEATURES = 4096
# Where something lies matters: at the example's first tensor 4 x 4 cells have 2.5 % more right than an average.
_MOST_CELLS = 4
# Which input holds the scale of what an operator quantises; the zero point is the next.
_SCALES = {"QLinearAdd": 6, "QLinearConv": 6, "QLinearMatMul": 6, "QuantizeLinear": 1}
# From this opset on ReduceMean takes its axes as an input.
_AXES_ARE_INPUT = 18


@dataclass(frozen=True, slots=True)
class HeadForm:
    """How the features are made of one tensor.

    Attributes:
        tensor: of 2, 3 or 4 axes, the first of them the batch; float16, float32 or float64, or quantised.
        scale: of a quantised tensor, uint8 or int8: what one step of it means; None otherwise.
        zero: of a quantised tensor: the integer that means 0.
    """

    tensor: TensorSpec
    scale: float | None = None
    zero: int = 0

    @property
    def features(self) -> int:
        """How many there are: channels times cells, twice the width of tokens, or the width."""
        sizes = _sizes(self.tensor)
        if len(sizes) == 3:
            rows, columns = self.cells
            return sizes[0] * rows * columns
        return sizes[0] if len(sizes) == 1 else 2 * sizes[1]

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns that `[batch, channels, height, width]` is pooled to."""
        channels, height, width = _sizes(self.tensor)
        most = max((side for side in range(1, _MOST_CELLS + 1) if channels * side**2 <= MOST_FEATURES), default=1)
        return min(most, height), min(most, width)

    def append(self, nodes: Nodes, source: ir.Value, *, opset: int) -> ir.Value:
        """Add the nodes that make the features, float32, and return these.

        Args:
            nodes: to add them to.
            source: the tensor.
            opset: of ONNX's own operators in the model.
        """
        if self.scale is not None:
            zero = nodes.constant(np.array(self.zero, self.tensor.dtype))
            source = nodes.add(
                "DequantizeLinear", [source, nodes.constant(np.array(self.scale, np.float32)), zero]
            )
        elif self.tensor.dtype != "float32":
            source = nodes.add("Cast", [source], to=ir.DataType.FLOAT)
        axes = len(self.tensor.shape)
        if axes == 4:
            return nodes.add("Flatten", [self._pooled(nodes, source)], axis=1)
        return source if axes == 2 else _first_and_mean(nodes, source, opset)

    def model(self) -> ir.Model:
        """Return a model of these nodes alone: from the tensor to `features`."""
        dtype = ir.DataType.from_numpy(np.dtype(self.tensor.dtype))
        taken = ir.Value(
            name=self.tensor.name, type=ir.TensorType(dtype), shape=ir.Shape([BATCH, *self.tensor.shape[1:]])
        )
        nodes = Nodes("features")
        made = nodes.add("Identity", [self.append(nodes, taken, opset=_AXES_ARE_INPUT)])
        made.name, made.dtype, made.shape = "features", ir.DataType.FLOAT, ir.Shape([BATCH, self.features])
        graph = ir.Graph(
            [taken],
            [made],
            nodes=nodes.made,
            initializers=nodes.constants,
            opset_imports={"": _AXES_ARE_INPUT},
            name="features",
        )
        return ir.Model(graph, ir_version=8)

    def _pooled(self, nodes: Nodes, source: ir.Value) -> ir.Value:
        """Average over cells that cover the tensor evenly and overlap where its sides are no multiples."""
        _, height, width = _sizes(self.tensor)
        rows, columns = self.cells
        if (rows, columns) == (height, width):
            return source
        strides = [height // rows, width // columns]
        kernel = [height - strides[0] * (rows - 1), width - strides[1] * (columns - 1)]
        return nodes.add("AveragePool", [source], kernel_shape=kernel, strides=strides)


def form_of(tensor: TensorSpec) -> HeadForm | None:
    """Return the form for a floating-point tensor; None where none fits its type or shape."""
    floating = tensor.dtype in ("float16", "float32", "float64")
    return HeadForm(tensor) if floating and _fits(tensor) else None


def quantised_form_of(tensor: TensorSpec, value: ir.Value) -> HeadForm | None:
    """Return the form for a quantised tensor; None where none fits it, or its scale is not one known number.

    Args:
        tensor: the quantised tensor.
        value: the same in its graph.
    """
    node = value.producer()
    if node is None or node.op_type not in _SCALES or tensor.dtype not in ("int8", "uint8") or not _fits(tensor):
        return None
    at = _SCALES[node.op_type]
    scale, zero = (None if one is None else one.const_value for one in (*node.inputs, None)[at : at + 2])
    if scale is None or scale.size != 1 or scale.dtype is not ir.DataType.FLOAT:
        return None
    return HeadForm(tensor, float(scale.numpy().item()), 0 if zero is None else int(zero.numpy().item()))


def _fits(tensor: TensorSpec) -> bool:
    sizes = _sizes(tensor)
    is_known = len(sizes) == len(tensor.shape) - 1 and len(sizes) in (1, 2, 3) and min(sizes) > 0
    return tensor.batch_axis == 0 and is_known and HeadForm(tensor).features <= MOST_FEATURES


def _first_and_mean(nodes: Nodes, source: ir.Value, opset: int) -> ir.Value:
    """Put the first token, which in many models gathers the answer, beside the mean over all tokens."""
    first = nodes.add("Gather", [source, nodes.constant(np.array(0, np.int64))], axis=1)
    if opset < _AXES_ARE_INPUT:
        mean = nodes.add("ReduceMean", [source], axes=[1], keepdims=0)
    else:
        mean = nodes.add("ReduceMean", [source, nodes.integers(1)], keepdims=0)
    return nodes.add("Concat", [first, mean], axis=1)


def _sizes(tensor: TensorSpec) -> list[int]:
    """The sizes of all axes but the batch."""
    return [size for size in tensor.shape if isinstance(size, int)]
