"""The loss of a step: cross-entropy of class scores with soft targets, averaged over weighted samples."""

from dataclasses import dataclass

import onnx_ir as ir

from splitnet.codec.nodes import Nodes
from splitnet.errors import ModelError
from splitnet.learn.step.scalars import scalar

# Keeps the logarithm of a probability that has become 0 finite; such a class then costs 27.6.
_LEAST_PROBABILITY = 1e-12

# What may stand behind a Softmax without changing its numbers.
_PASSING = frozenset({"Identity", "Dropout"})


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss in a graph.

    Attributes:
        value: a scalar.
        at: the value of the graph by which the loss is differentiated first.
        gradient: of the loss by that, in its shape.
    """

    value: ir.Value
    at: ir.Value
    gradient: ir.Value


def cross_entropy(
    nodes: Nodes, scores: ir.Value, targets: ir.Value, weights: ir.Value, *, probabilities: bool
) -> Loss:
    """Add the nodes of sum(w * -sum(t * log p)) / sum(w), and of its gradient.

    Logits are differentiated together with their softmax p, which keeps all digits where p is nearly 0 or 1: the
    gradient is w / sum(w) * (p sum(t) - t). Probabilities are traced back to the logits of their Softmax; where
    there is none, the gradient is by them: -w / sum(w) * t / p.

    Args:
        nodes: where to add them.
        scores: `[batch, classes]` float32.
        targets: t, `[batch, classes]`, rows of probabilities.
        weights: w, `[batch]`.
        probabilities: whether the scores are probabilities, else logits.

    Raises:
        ModelError: the scores are made by a Sigmoid, so that they are neither.
    """
    at = _logits(scores, probabilities=probabilities)
    if at is not None:
        logs = nodes.add("LogSoftmax", [at], axis=-1)
        total = nodes.add("ReduceSum", [targets, nodes.integers(1)], keepdims=1)
        slope = nodes.add("Sub", [nodes.add("Mul", [nodes.add("Exp", [logs]), total]), targets])
    else:
        shares = nodes.add("Max", [scores, scalar(nodes, _LEAST_PROBABILITY)])
        logs = nodes.add("Log", [shares])
        slope = nodes.add("Neg", [nodes.add("Div", [targets, shares])])
    weight = nodes.add("Div", [weights, nodes.add("ReduceSum", [weights], keepdims=0)])
    each = nodes.add("ReduceSum", [nodes.add("Mul", [targets, logs]), nodes.integers(1)], keepdims=0)
    loss = nodes.add("Neg", [nodes.add("ReduceSum", [nodes.add("Mul", [weight, each])], keepdims=0)])
    column = nodes.add("Unsqueeze", [weight, nodes.integers(1)])
    return Loss(loss, scores if at is None else at, nodes.add("Mul", [slope, column]))


def _logits(scores: ir.Value, *, probabilities: bool) -> ir.Value | None:
    """Return what the scores' softmax is taken of; None where probabilities come from no Softmax."""
    node = scores.producer()
    while node is not None and node.op_type in _PASSING and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    if node is not None and node.op_type == "Sigmoid":
        raise ModelError(
            f"class scores {scores.name!r} are made by node {node.name!r} (Sigmoid), one yes or no a class; "
            "only exits that choose one class, by logits or Softmax, can be trained"
        )
    if not probabilities:
        return scores
    return node.inputs[0] if node is not None and node.op_type == "Softmax" else None
