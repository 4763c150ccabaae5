"""Which nodes carry data: only those are cut, everything else is cloned to wherever it is needed.

Transformer exports derive masks and reshape targets from the shape of their input. Such a node depends on
data only through Shape or Size, so the samples' values never reach it, and it can be rebuilt on any tier.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

import onnx_ir as ir

from splitnet.graph.values import inner_nodes, name_of, reads, subgraphs


class NodeClass(enum.IntEnum):
    """How a node depends on the model's inputs; a higher class includes the lower ones."""

    CONSTANT = 0
    SHAPE = 1
    DATA = 2


# Sources of chance: a clone on another tier would draw other numbers, so they are never cloned.
_RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)

# Operators whose output shape depends on the values of their input.
_VALUE_SIZED = frozenset({"Compress", "NonMaxSuppression", "NonZero", "StringSplit", "Unique"})

# Inputs that say how large the output is, by operator.
_SIZING_INPUTS: dict[str, tuple[int, ...]] = {
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "ConstantOfShape": (0,),
    "DFT": (1,),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "MaxUnpool": (2,),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "STFT": (1, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Upsample": (1,),
}


@dataclass(slots=True)
class Classes:
    """What `classify_values` found.

    Attributes:
        nodes: the class of every top-level node.
        values: the class of every graph input and node output; initialisers are constant and left out.
        value_sized: data tensors whose shape is not given by the batch size alone (the output of NonZero).
    """

    nodes: dict[ir.Node, NodeClass] = field(default_factory=dict)
    values: dict[ir.Value, NodeClass] = field(default_factory=dict)
    value_sized: set[ir.Value] = field(default_factory=set)


def classify(model: ir.Model) -> dict[str, NodeClass]:
    """Return the class of every top-level node, by name; a node with subgraphs counts as one."""
    return {name_of(node): found for node, found in classify_values(model).nodes.items()}


def quantised_tensors(model: ir.Model) -> frozenset[str]:
    """Return the data tensors that are quantised to integers; where there are any, only they should be sent.

    onnxruntime fuses and quantises what lies between a DequantizeLinear and the next QuantizeLinear, even at
    basic optimisation; a cut in between hides the pattern, and the results differ (by 0.08 in our tests).
    Operators on integers (QLinearConv, ...) make such tensors as well.
    """
    return frozenset(
        name_of(node.outputs[0])
        for node, found in classify_values(model).nodes.items()
        if found is NodeClass.DATA and _quantises(node)
    )


def _quantises(node: ir.Node) -> bool:
    if node.domain not in ("", "com.microsoft"):
        return False
    if node.op_type == "QGemm":
        # Without an output scale, its last input but one, it answers in float32.
        return len(node.inputs) > 7 and node.inputs[7] is not None
    return node.op_type == "QuantizeLinear" or node.op_type.startswith("QLinear")


def classify_values(model: ir.Model) -> Classes:
    """Classify the nodes and values of the top-level graph in one pass over its topological order."""
    classes = Classes(values=dict.fromkeys(model.graph.inputs, NodeClass.DATA))
    for node in model.graph:
        found = _class_of(node, classes)
        classes.nodes[node] = found
        classes.values.update(dict.fromkeys(node.outputs, found))
        if found is NodeClass.DATA and not _is_shape_reader(node) and _is_value_sized(node, classes):
            classes.value_sized.update(node.outputs)
    return classes


def _class_of(node: ir.Node, classes: Classes) -> NodeClass:
    if _is_standard(node, _RANDOM):
        return NodeClass.DATA
    inputs = reads(node)
    found = max((classes.values.get(value, NodeClass.CONSTANT) for value in inputs), default=NodeClass.CONSTANT)
    if any(_is_standard(inner, _RANDOM) for inner in inner_nodes(node)):
        return NodeClass.DATA
    # The shape of NonZero's output is data: no other tier could rebuild it from the batch size.
    if found is NodeClass.DATA and _is_shape_reader(node) and classes.value_sized.isdisjoint(inputs):
        return NodeClass.SHAPE
    return found


def _is_standard(node: ir.Node, operators: frozenset[str]) -> bool:
    return node.domain == "" and node.op_type in operators


def _is_shape_reader(node: ir.Node) -> bool:
    return node.domain == "" and node.op_type in {"Shape", "Size"}


def _is_value_sized(node: ir.Node, classes: Classes) -> bool:
    """Whether the shape of the outputs may depend on values; a shape once lost counts as lost below it."""

    def holds_data(value: ir.Value) -> bool:
        if value in classes.values:
            return classes.values[value] is NodeClass.DATA
        producer = value.producer()
        return not value.is_initializer() and (producer is None or producer.op_type != "Constant")

    if not classes.value_sized.isdisjoint(reads(node)):
        return True
    return any(_sizes_by_value(each, holds_data) for each in (node, *inner_nodes(node)))


def _sizes_by_value(node: ir.Node, holds_data: Callable[[ir.Value], bool]) -> bool:
    if node.domain != "":
        return False
    if node.op_type in _VALUE_SIZED:
        return True
    # A Loop's scan outputs are as long as it ran: its outputs beyond the carried values (inputs 2 and on).
    if node.op_type == "Loop" and any(subgraphs(node)):
        return len(node.outputs) > len(node.inputs) - 2
    sizing = [node.inputs[at] for at in _SIZING_INPUTS.get(node.op_type, ()) if at < len(node.inputs)]
    return any(value is not None and holds_data(value) for value in sizing)
