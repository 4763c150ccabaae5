"""Calls of every operator: what onnxruntime and torch are to compute alike."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto

from splitnet.tensors import Array


@dataclass(frozen=True)
class Case:
    """A call of an operator.

    Attributes:
        operator: its name.
        inputs: the first is the graph's input, the others constants; None where left out.
        attributes: of the node.
        outputs: how many.
        opset: of the graph.
        smooth: whether its gradient by the first input is checked, at these very values.
    """

    operator: str
    inputs: tuple[Array | None, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1
    opset: int = 20
    smooth: bool = False

    @property
    def name(self) -> str:
        options = "-".join(f"{key}={value}" for key, value in self.attributes.items())
        shape = "" if not self.inputs or self.inputs[0] is None else "x".join(map(str, self.inputs[0].shape))
        return f"{self.operator}-{shape}-{options}-{self.opset}"


_RNG = np.random.default_rng(7)


def floats(*shape: int, low: float = -2.0, high: float = 2.0) -> Array:
    return _RNG.uniform(low, high, shape).astype(np.float32)


def ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def real(*numbers: float) -> Array:
    return np.array(numbers, np.float32)


def smooth(operator: str, *inputs: Array | None, opset: int = 20, **attributes: Any) -> Case:
    return Case(operator, inputs, attributes, opset=opset, smooth=True)


def rough(operator: str, *inputs: Array | None, outputs: int = 1, opset: int = 20, **attributes: Any) -> Case:
    return Case(operator, inputs, attributes, outputs, opset)


def _arithmetic() -> Iterator[Case]:
    for operator in ("Abs", "Cos", "Erf", "Exp", "Neg", "Sin", "Tan"):
        yield smooth(operator, floats(2, 3, low=0.2, high=1.3))
    for operator in ("Log", "Reciprocal", "Sqrt"):
        yield smooth(operator, floats(2, 3, low=0.5))
    for operator in ("Ceil", "Floor", "Round", "Sign"):
        yield rough(operator, real(-1.5, -0.5, 0.0, 0.5, 1.2, 2.5))
    for operator in ("Add", "Div", "Mul", "Sub"):
        yield smooth(operator, floats(2, 3, 4), floats(3, 1, low=0.5))
    yield smooth("Pow", floats(2, 3, low=0.5), real(1.5))
    yield rough("Pow", floats(2, 3, low=0.5), ints(3))
    yield rough("Div", ints(-7, 7, -8, 9), ints(2, 2, 3, -4))
    yield rough("Mod", ints(-7, 7, -8, 9), ints(2, 2, 3, -4))
    yield rough("Mod", floats(6), real(0.7), fmod=1)
    for operator in ("Max", "Min", "Mean", "Sum"):
        yield smooth(operator, floats(2, 3), floats(3), floats(2, 1))


def _comparison() -> Iterator[Case]:
    whole = np.array([[1, 2, 3], [3, 2, 1]], np.float32)
    for operator in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"):
        yield rough(operator, whole, real(2, 2, 2))
    truth = np.array([True, True, False, False])
    for operator in ("And", "Or", "Xor"):
        yield rough(operator, truth, truth[[0, 2, 1, 3]])
    yield rough("Not", truth)
    yield rough("Where", truth, real(1, 2, 3, 4), real(5))
    yield rough("IsNaN", real(1, np.nan, np.inf))
    yield rough("IsInf", real(1, np.nan, np.inf, -np.inf))


def _activations() -> Iterator[Case]:
    x = floats(2, 3, 4)
    for operator in ("HardSwish", "Mish", "Relu", "Sigmoid", "Softplus", "Softsign", "Tanh"):
        yield smooth(operator, x)
    for operator in ("Celu", "Elu", "LeakyRelu", "Selu", "ThresholdedRelu"):
        yield smooth(operator, x)
        yield smooth(operator, x, alpha=0.3)
    yield smooth("HardSigmoid", x)
    yield smooth("HardSigmoid", x, alpha=0.4, beta=0.6)
    yield smooth("PRelu", x, floats(3, 1))
    yield smooth("Swish", x, opset=24)
    yield smooth("Swish", x, opset=24, alpha=0.4)
    yield smooth("Gelu", x)
    yield smooth("Gelu", x, approximate="tanh")
    for operator in ("Softmax", "LogSoftmax"):
        yield smooth(operator, x)
        yield smooth(operator, x, axis=1)
    low, high = np.array(-1, np.float32), np.array(0.5, np.float32)
    for bounds in ((low, high), (None, high), (low, None), (low,)):
        yield smooth("Clip", x, *bounds)


def _matrices() -> Iterator[Case]:
    yield smooth("MatMul", floats(2, 3, 4), floats(4, 5))
    yield smooth("MatMul", floats(2, 1, 3, 4), floats(6, 4, 5))
    yield smooth("Gemm", floats(3, 4), floats(4, 5), floats(5))
    yield smooth("Gemm", floats(4, 3), floats(5, 4), floats(3, 1), transA=1, transB=1, alpha=0.5, beta=2.0)
    yield smooth("Gemm", floats(3, 4), floats(4, 5))
    yield smooth("Einsum", floats(2, 3, 4), floats(2, 5, 4), equation="bij,bkj->bik")


def _convolution() -> Iterator[Case]:
    image, line, volume = floats(2, 4, 6, 5), floats(2, 4, 7), floats(1, 2, 4, 4, 3)
    yield smooth("Conv", image, floats(6, 4, 3, 3), floats(6), pads=[1, 1, 1, 1])
    yield smooth("Conv", image, floats(6, 2, 3, 3), group=2, strides=[2, 1], pads=[0, 1, 2, 1])
    yield smooth("Conv", image, floats(4, 1, 3, 3), floats(4), group=4, dilations=[2, 1], pads=[2, 1, 2, 1])
    for way in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        yield smooth("Conv", image, floats(3, 4, 2, 3), strides=[2, 2], auto_pad=way)
    yield smooth("Conv", line, floats(3, 4, 3), strides=[2])
    yield smooth("Conv", volume, floats(3, 2, 2, 2, 2), floats(3))
    yield smooth("ConvTranspose", image, floats(4, 3, 3, 3), floats(3), strides=[2, 2], pads=[1, 1, 1, 1])
    yield smooth(
        "ConvTranspose", image, floats(4, 3, 3, 3), strides=[2, 2], pads=[1, 0, 0, 1], output_padding=[1, 0]
    )
    yield smooth("ConvTranspose", image, floats(4, 2, 2, 2), group=2, dilations=[2, 1])
    yield smooth("ConvTranspose", image, floats(4, 3, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER")
    yield smooth("ConvTranspose", line, floats(4, 3, 4), strides=[2], output_shape=[14])


def _pooling() -> Iterator[Case]:
    image = floats(2, 3, 7, 6)
    for operator in ("MaxPool", "AveragePool"):
        yield smooth(operator, image, kernel_shape=[2, 3], strides=[2, 1])
        yield smooth(operator, image, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
        yield smooth(operator, image, kernel_shape=[2, 2], strides=[2, 2], pads=[0, 1, 1, 0], ceil_mode=1)
        yield smooth(operator, image, kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_LOWER")
        yield smooth(operator, floats(1, 2, 9), kernel_shape=[3], strides=[2])
        yield smooth(operator, floats(1, 2, 4, 4, 4), kernel_shape=[2, 2, 2], strides=[2, 2, 2])
    yield smooth("MaxPool", image, kernel_shape=[2, 2], dilations=[2, 2])
    yield smooth("AveragePool", image, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
    for operator in ("GlobalAveragePool", "GlobalMaxPool"):
        yield smooth(operator, image)


def _normalisation() -> Iterator[Case]:
    image, row = floats(2, 4, 3, 5), floats(2, 3, 8)
    by_channel = floats(4), floats(4)
    yield smooth("BatchNormalization", image, *by_channel, floats(4), floats(4, low=0.5))
    yield smooth("LayerNormalization", row, floats(8), floats(8), epsilon=1e-3)
    yield smooth("LayerNormalization", row, floats(3, 8), axis=1)
    yield smooth("RMSNormalization", row, floats(8), opset=23)
    yield smooth("InstanceNormalization", image, *by_channel)
    yield smooth("GroupNormalization", image, *by_channel, opset=21, num_groups=2)
    yield smooth("GroupNormalization", image, floats(2), floats(2), opset=18, num_groups=2)
    yield smooth("LRN", image, size=3, alpha=0.5, beta=0.6, bias=1.5)
    yield smooth("LpNormalization", row, axis=1)
    yield smooth("LpNormalization", row, p=1)


def _reduction() -> Iterator[Case]:
    x = floats(2, 3, 4, low=0.3)
    reductions = ("L1", "L2", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
    for operator in (f"Reduce{name}" for name in reductions):
        yield smooth(operator, x, ints(-1, 1))
        yield smooth(operator, x, keepdims=0)
    yield smooth("ReduceMean", x, axes=[1], keepdims=0, opset=17)
    for operator in ("ReduceSum", "ReduceMax", "ReduceL1", "ReduceL2", "ReduceSumSquare"):
        yield smooth(operator, -x, noop_with_empty_axes=1, keepdims=0)
    for operator in ("ArgMax", "ArgMin"):
        yield rough(operator, x, axis=1)
        yield rough(operator, x, axis=-1, keepdims=0)
    yield rough("TopK", x, ints(2), outputs=2, axis=1)
    yield rough("TopK", x, ints(2), outputs=2, largest=0)
    yield smooth("CumSum", x, np.array(1, np.int64))
    yield smooth("CumSum", x, np.array(-1, np.int64), exclusive=1, reverse=1)


def _layout() -> Iterator[Case]:
    x = floats(2, 3, 4)
    yield smooth("Reshape", x, ints(0, -1))
    yield rough("Reshape", floats(0, 3), ints(3, 0), allowzero=1)
    for axis in (0, 1, -1, 3):
        yield smooth("Flatten", x, axis=axis)
    yield smooth("Transpose", x)
    yield smooth("Transpose", x, perm=[1, 0, 2])
    yield smooth("Squeeze", floats(2, 1, 3, 1))
    yield smooth("Squeeze", floats(2, 1, 3, 1), ints(-1))
    yield smooth("Unsqueeze", x, ints(-1, 1))
    yield smooth("Expand", floats(3, 1), ints(2, 1, 4))
    yield smooth("Expand", x, ints(1, 4))
    yield smooth("Concat", x, floats(2, 5, 4), axis=1)
    yield rough("Split", x, ints(1, 3), outputs=2, axis=2)
    yield rough("Split", floats(5, 2), outputs=3, num_outputs=3)
    yield rough("Split", x, outputs=2, opset=17)
    yield smooth("Slice", x, ints(1, -3), ints(9, -1), ints(1, 2))
    yield smooth("Slice", x, ints(-1, 0), ints(-99, 4), ints(2, 1), ints(-2, 2))
    yield smooth("Slice", x, ints(0), ints(1))
    yield smooth("Tile", x, ints(2, 1, 3))
    yield smooth("Trilu", floats(2, 4, 4))
    yield smooth("Trilu", floats(2, 4, 4), np.array(1, np.int64), upper=0)
    yield smooth("DepthToSpace", floats(1, 8, 2, 3), blocksize=2)
    yield smooth("DepthToSpace", floats(1, 8, 2, 3), blocksize=2, mode="CRD")
    yield smooth("SpaceToDepth", floats(1, 2, 4, 6), blocksize=2)


def _padding() -> Iterator[Case]:
    x = floats(2, 4, 5)
    yield smooth("Pad", x, ints(0, 1, 2, 0, 0, 3), np.array(0.7, np.float32))
    yield smooth("Pad", x, ints(0, -1, 2, 0, 0, -2))
    yield smooth("Pad", x, ints(1, 2), None, ints(-1))
    for mode in ("reflect", "edge", "wrap"):
        yield smooth("Pad", x, ints(0, 2, 3, 0, 1, 2), mode=mode)


def _indexing() -> Iterator[Case]:
    x = floats(3, 4, 5)
    yield smooth("Gather", x, np.array([[0, -1], [2, 1]], np.int32), axis=1)
    yield smooth("Gather", x, np.array(-2, np.int64))
    yield smooth("GatherElements", x, np.array([[[0, -1]], [[3, 2]]], np.int64), axis=2)
    yield smooth("GatherND", x, np.array([[0, -1], [2, 1]], np.int64))
    yield smooth("ScatterElements", x, np.array([[[0, -1]]], np.int64), floats(1, 1, 2), axis=-1)
    yield smooth("ScatterND", x, np.array([[0, 3], [-1, 1]], np.int64), floats(2, 5))
    yield rough("Range", np.array(2, np.int64), np.array(9, np.int64), np.array(3, np.int64))
    yield rough("Range", np.array(1, np.float32), np.array(-1, np.float32), np.array(-0.5, np.float32))


def _values() -> Iterator[Case]:
    x = floats(2, 3, low=-9, high=9)
    for to in (TensorProto.INT32, TensorProto.INT64, TensorProto.FLOAT16, TensorProto.BOOL, TensorProto.DOUBLE):
        yield rough("Cast", x, to=to)
    yield rough("CastLike", x, ints(1))
    yield smooth("Identity", x)
    yield smooth("Dropout", x, np.array(0.5, np.float32))
    yield rough("Shape", floats(2, 3, 4))
    yield rough("Shape", floats(2, 3, 4), start=1, end=-1)
    yield rough("Size", x)
    yield rough("ConstantOfShape", ints(2, 3))
    for attributes in ({"value_float": 1.5}, {"value_ints": [4, 5]}, {"value_floats": [0.5]}, {"value_int": 7}):
        yield rough("Constant", **attributes)


def _resize() -> Iterator[Case]:
    image = floats(1, 2, 4, 5)
    grown, odd = real(1, 1, 2, 2), ints(1, 2, 7, 3)
    coordinates = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric")
    for way in coordinates:
        for mode in ("nearest", "linear", "cubic"):
            yield smooth("Resize", image, None, None, odd, mode=mode, coordinate_transformation_mode=way)
        yield smooth("Resize", image, None, grown, mode="linear", coordinate_transformation_mode=way)
    for nearest in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"):
        yield smooth("Resize", image, None, grown, nearest_mode=nearest)
        yield smooth(
            "Resize", image, None, grown, nearest_mode=nearest, coordinate_transformation_mode="asymmetric"
        )
    yield smooth("Resize", image, None, real(0.6, 1.7), axes=[3, 2], mode="linear")


CASES: tuple[Case, ...] = tuple(
    case
    for family in (
        _arithmetic,
        _comparison,
        _activations,
        _matrices,
        _convolution,
        _pooling,
        _normalisation,
        _reduction,
        _layout,
        _padding,
        _indexing,
        _values,
        _resize,
    )
    for case in family()
)
