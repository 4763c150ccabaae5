"""Which initialisers of a graph can learn: weights and biases of convolutions and of matrix products."""

from collections.abc import Collection, Iterable

import onnx_ir as ir

# Inputs that hold weights and biases, by operator. Scale and bias of normalisation are frozen, as are constants.
_WEIGHTS = {"Conv": (1, 2), "Gemm": (1, 2), "MatMul": (0, 1)}

# Exporters put these between a weight and what reads it.
_REARRANGING = frozenset({"Identity", "Transpose"})


def trainable(nodes: Iterable[ir.Node], frozen: Collection[str]) -> tuple[ir.Value, ...]:
    """Return the float32 initialisers of `nodes` that can learn, in the order in which they are read.

    One that is read otherwise too, within `nodes` or elsewhere, stays as it is: exporters store equal tensors
    once, such as the zeros that are a layer's bias and a normalisation's.

    Args:
        nodes: in topological order.
        frozen: names of nodes whose weights stay as they are.
    """
    found = dict.fromkeys(
        weight
        for node in nodes
        for index in _slots(node)
        if index < len(node.inputs) and (weight := _initialiser(node.inputs[index])) is not None
    )
    return tuple(weight for weight in found if _only_weighs(weight, frozen))


def _slots(node: ir.Node) -> tuple[int, ...]:
    """Which inputs of a node are weights or biases, if they are initialisers."""
    if node.op_type == "Add":
        # The bias of a layer that is exported as MatMul and Add.
        return tuple(own for own, other in ((0, 1), (1, 0)) if _is_product(node.inputs[other]))
    return () if node.domain else _WEIGHTS.get(node.op_type, ())


def _is_product(value: ir.Value | None) -> bool:
    node = None if value is None else value.producer()
    return node is not None and node.op_type == "MatMul"


def _initialiser(value: ir.Value | None) -> ir.Value | None:
    """Return the float32 initialiser that a value is, or is rearranged from."""
    while value is not None and (node := value.producer()) is not None and node.op_type in _REARRANGING:
        value = node.inputs[0]
    if value is None or not value.is_initializer() or value.const_value is None:
        return None
    return value if value.const_value.dtype is ir.DataType.FLOAT else None


def _only_weighs(value: ir.Value, frozen: Collection[str]) -> bool:
    """Whether all that read a value, rearranged or as it is, have it as a weight and are free to change it."""
    return all(
        (index in _slots(node) and node.name not in frozen)
        or (index == 0 and node.op_type in _REARRANGING and _all_only_weigh(node.outputs, frozen))
        for node, index in value.uses()
    )


def _all_only_weigh(values: Iterable[ir.Value], frozen: Collection[str]) -> bool:
    return all(_only_weighs(value, frozen) for value in values)
