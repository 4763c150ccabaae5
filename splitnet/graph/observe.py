"""Observation: a copy of a model that hands out every tensor, to be run for their shapes."""

import onnx_ir as ir

from splitnet.graph.classify import NodeClass, classify_values
from splitnet.graph.shapes import dtype_name
from splitnet.graph.values import subgraphs
from splitnet.tensors import DTYPES

# Their outputs are no tensors, and onnxruntime would return lists.
_SEQUENCES = frozenset(
    {"Optional", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceMap"}
    | {"SplitToSequence"}
)


def with_every_output(model: ir.Model) -> ir.Model:
    """Return a copy of `model` that has every top-level data tensor as a further output.

    The new outputs have neither type nor shape: onnxruntime infers the first and reports the second. Left out
    are sequences, and tensors of an element type that numpy lacks (bfloat16).
    """
    copy = model.clone()
    classes = classify_values(copy)
    outputs = set(copy.graph.outputs)
    data = [node for node, found in classes.nodes.items() if found is NodeClass.DATA]
    # All are judged before any loses its type, which says what those below it are.
    observed = [
        value
        for node in data
        for value in node.outputs
        if value.name and value not in outputs and is_observable(value)
    ]
    for value in observed:
        value.type, value.shape = None, None
        copy.graph.outputs.append(value)
    return copy


def is_observable(value: ir.Value) -> bool:
    """Whether a run can report `value` as an array; yes where its type is not known."""
    value = _source_of_type(value)
    node = value.producer()
    if value.type is None and node is not None:
        return node.op_type not in _SEQUENCES and _written_type(node) in (None, *DTYPES, "object")
    return isinstance(value.type, ir.TensorType | None) and dtype_name(value) in (None, *DTYPES, "object")


def _source_of_type(value: ir.Value) -> ir.Value:
    """Follow a value without a type to one that has the same: exporters leave out what can be inferred."""
    while value.type is None and (alike := _alike(value)) is not None:
        value = alike
    return value


def _alike(value: ir.Value) -> ir.Value | None:
    """Return the value that the node of `value` passes on as it, out of a subgraph or unchanged."""
    node = value.producer()
    if node is None or node.domain != "":
        return None
    if node.op_type == "Identity":
        return node.inputs[0]
    # The outputs of a Loop's body begin with its condition.
    place = (value.index() or 0) + (node.op_type == "Loop")
    graphs = subgraphs(node) if node.op_type in ("If", "Loop") else ()
    return next((graph.outputs[place] for graph in graphs if place < len(graph.outputs)), None)


def _written_type(node: ir.Node) -> str | None:
    """Return numpy's name of the element type that `node` writes, where it says so itself."""
    if node.op_type == "Cast":
        return _name(node.attributes.get_int("to", 0))
    if node.op_type == "QuantizeLinear":
        zero = node.inputs[2] if len(node.inputs) > 2 else None
        return _name(node.attributes.get_int("output_dtype", 0)) if zero is None else dtype_name(zero)
    return None


def _name(element_type: int) -> str | None:
    if element_type == ir.DataType.UNDEFINED:
        return None
    name: str = ir.DataType(element_type).numpy().name
    return name
