"""The work of a model's nodes, counted from their shapes: the same on every machine, and without a run."""

import math

import onnx_ir as ir

from splitnet.graph import axis_fits
from splitnet.graph.values import name_of

# Which input holds the weights, and which the left matrix.
_WEIGHTS = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3}
_MATRICES = frozenset({"Gemm", "MatMul", "MatMulInteger", "QGemm", "QLinearMatMul"})


def work_of(model: ir.Model) -> dict[str, float]:
    """Return what each node computes for one sample, by name: multiply-adds, or one for every value it makes.

    Good for saying how far through a model a tensor lies, and no prediction of times.

    Args:
        model: as `load_model` returns it, with shapes recorded.
    """
    return {name_of(node): sum(map(_values, node.outputs)) * _each(node) for node in model.graph}


def _each(node: ir.Node) -> float:
    """Multiply-adds for every value that the node makes."""
    if node.op_type in _WEIGHTS:
        weights = node.inputs[_WEIGHTS[node.op_type]]
        return math.prod(_sizes(weights)[1:], start=1.0)
    if node.op_type in _MATRICES:
        left = _sizes(node.inputs[0])
        along = 0 if node.attributes.get_int("transA", 0) else -1
        return left[along] if left else 1.0
    return 1.0


def _sizes(value: ir.Value | None) -> list[float]:
    """The sizes of a tensor's axes for one sample; [] where they are not on record."""
    producer = None if value is None else value.producer()
    if producer is not None and producer.op_type == "DequantizeLinear":
        # A quantised weight, which is constant and so was not observed.
        value = producer.inputs[0]
    fits = None if value is None else axis_fits(value)
    if fits is None or None in fits:
        return []
    return [float(fit.per_sample + fit.constant) for fit in fits if fit is not None]


def _values(value: ir.Value) -> float:
    sizes = _sizes(value)
    return math.prod(sizes) if sizes else 0.0
