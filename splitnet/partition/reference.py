"""How fast this machine is: the network that absolute speeds are stated for, and its measurement."""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import onnx_ir as ir

from splitnet.cost import run_ms
from splitnet.graph import model_bytes
from splitnet.onnx_session import OnnxSession
from splitnet.tensors import Array

#: Of MobileNet: each of its weights is multiplied and added 568,740,352 times in all.
REFERENCE_FLOPS = 2 * 568_740_352

# MobileNet 1.0 for 224x224 pixels (Howard et al., 2017, table 1): channels and stride of the separable blocks.
_PIXELS = 224
_STEM = 32
_BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)
_CLASSES = 1000

_LEAST_RUNS = 3


def measure_gflops(*, seconds: float = 2.0, on_progress: Callable[[float], None] | None = None) -> float:
    """Return the GFLOP/s of one thread here: the operations of MobileNet over the median time of a sample.

    Figures that others publish for MobileNet (Howard et al., 2017; 1.0, 224x224 pixels, float32, one thread) can
    be set against it: so the library of machines is made.

    Args:
        seconds: how long to measure, at least three runs.
        on_progress: called with the share of the time that has passed, 0.0 to 1.0.
    """
    session = OnnxSession(reference_model(), name="the reference network")
    image = {"image": np.random.default_rng(0).standard_normal((1, 3, _PIXELS, _PIXELS), np.float32)}
    run_ms(session, image)  # to warm up
    times: list[float] = []
    start, share = time.perf_counter(), 0.0
    while share < 1 or len(times) < _LEAST_RUNS:
        times.append(run_ms(session, image))
        share = min((time.perf_counter() - start) / seconds, 1.0)
        if on_progress is not None:
            on_progress(share)
    return REFERENCE_FLOPS / median(times) / 1e6


def reference_model() -> bytes:
    """Return MobileNet as an ONNX file of 17 MB: random weights, normalisation folded into the convolutions."""
    builder = _Builder(np.random.default_rng(0))
    image = ir.val("image", ir.DataType.FLOAT, [1, 3, _PIXELS, _PIXELS])
    at, channels = builder.convolution(image, (_STEM, 3, 3), stride=2), _STEM
    for width, stride in _BLOCKS:
        at = builder.convolution(at, (channels, 1, 3), stride=stride)
        at = builder.convolution(at, (width, channels, 1), stride=1)
        channels = width
    pooled = builder.add("Flatten", [builder.add("GlobalAveragePool", [at])])
    weights = builder.weights((channels, _CLASSES), fan_in=channels)
    answer = builder.add("Gemm", [pooled, weights, builder.constant(np.zeros(_CLASSES, np.float32))])
    graph = ir.Graph(
        [image],
        [answer],
        nodes=builder.nodes,
        initializers=builder.constants,
        name="reference",
        opset_imports={"": 13},
    )
    return model_bytes(ir.Model(graph, ir_version=8))


class _Builder:
    """Collects nodes and weights."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator
        self.nodes: list[ir.Node] = []
        self.constants: list[ir.Value] = []

    def convolution(self, source: ir.Value, weights: tuple[int, int, int], *, stride: int) -> ir.Value:
        """Add a convolution and a Relu; `weights` are channels out, channels in a group, and the side."""
        width, inner, side = weights
        kernel = self.weights((width, inner, side, side), fan_in=inner * side * side)
        bias = self.constant(np.zeros(width, np.float32))
        pads, strides = [side // 2] * 4, [stride] * 2
        group = width if inner == 1 else 1
        made = self.add("Conv", [source, kernel, bias], pads=pads, strides=strides, group=group)
        return self.add("Relu", [made])

    def weights(self, shape: tuple[int, ...], *, fan_in: int) -> ir.Value:
        """Add weights that keep the size of activations (He et al., 2015): no infinities, no denormal numbers."""
        values = self._generator.standard_normal(shape, np.float32) * np.float32((2 / fan_in) ** 0.5)
        return self.constant(values)

    def constant(self, array: Array) -> ir.Value:
        tensor = ir.tensor(array, name=f"constant{len(self.constants)}")
        value = ir.val(tensor.name, const_value=tensor)
        self.constants.append(value)
        return value

    def add(self, operator: str, inputs: list[ir.Value], **attributes: int | list[int]) -> ir.Value:
        name = f"node{len(self.nodes)}"
        node = ir.node(operator, inputs, attributes, outputs=[ir.Value(name=f"{name}.out")], name=name)
        self.nodes.append(node)
        return node.outputs[0]
