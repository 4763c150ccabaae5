"""How a classifier ends: the class scores, and what the model makes of nothing but them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from splitnet.errors import ModelError
from splitnet.graph import output_specs
from splitnet.graph.dataflow import DataFlow
from splitnet.graph.shapes import dtype_name
from splitnet.graph.values import name_of, subgraphs
from splitnet.tensors import BATCH, TensorSpec

_NORMALISES = frozenset({"LogSoftmax", "Softmax"})


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a classifier, from its logits on.

    Attributes:
        scores: the output `[batch, classes]` whose largest entry is the answer.
        logits: the tensor `[batch, classes]` of which every output is made: what goes into the softmax behind
            `scores`, or `scores` itself where there is none.
        normalised: whether there is a softmax between them.
        classes: how many.
        outputs: names of the model's outputs, `scores` first.
        nodes: names of the nodes between `logits` and the outputs, in topological order.
        is_bare: whether `logits` are probabilities already, which no Softmax made, so that an exit needs its own.
    """

    scores: str
    logits: str
    normalised: bool
    classes: int
    outputs: tuple[str, ...]
    nodes: tuple[str, ...]
    is_bare: bool = False

    def judged_by(self, logits: NDArray[np.float32]) -> "Ending":
        """Return what this ending is when the model makes these of samples, `[n, classes]`.

        Exporters write a softmax in many ways; where none is found, rows that are never negative and add up to 1
        tell that there is one.
        """
        adds_up = np.allclose(logits.sum(axis=1), 1, atol=1e-3) and bool((logits >= 0).all())
        return replace(self, is_bare=adds_up and not self.normalised)

    def likely(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities `[n, classes]` that `logits` mean."""
        if self.is_bare:
            return logits
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        likely: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
        return likely


def ending_of(model: ir.Model) -> Ending:
    """Find how `model` ends.

    Args:
        model: as `load_model` returns it, with shapes recorded, without exits.

    Raises:
        ModelError: no output is of shape [batch, classes], its scores are not float32, or an output is made of
            more than the class scores, so that no exit can stand for it; the message names it.
    """
    specs = output_specs(model)
    scores = next((spec for spec in specs if _predicts_classes(spec)), None)
    if scores is None:
        shapes = ", ".join(f"{spec.name!r} {spec.dtype}{list(spec.shape)}" for spec in specs)
        raise ModelError(
            f"only a classifier can be given an exit: none of its outputs ({shapes}) is of a floating-point type "
            "and of shape [batch, classes] with two classes or more"
        )
    flow = DataFlow(model)
    (value,) = flow.values([scores.name])
    logits, normalised = _logits_behind(value)
    if wrong := [one for one in (value, logits) if one.dtype is not ir.DataType.FLOAT]:
        raise ModelError(
            f"the class scores {wrong[0].name!r} are {dtype_name(wrong[0])}; heads are trained in float32: export "
            "the model with its scores in float32"
        )
    names = tuple(dict.fromkeys([scores.name, *(spec.name for spec in specs)]))
    nodes = _nodes_above(flow, logits, names)
    return Ending(scores.name, name_of(logits), normalised, int(scores.shape[1]), names, nodes)


def _predicts_classes(spec: TensorSpec) -> bool:
    return (
        spec.dtype.startswith("float")
        and len(spec.shape) == 2
        and spec.shape[0] == BATCH
        and isinstance(spec.shape[1], int)
        and spec.shape[1] > 1
    )


def _logits_behind(scores: ir.Value) -> tuple[ir.Value, bool]:
    """Return what the softmax behind `scores` takes, and that there is one; or `scores` itself."""
    value, normalised = scores, False
    while (node := value.producer()) is not None and node.domain == "" and node.inputs:
        if node.op_type in _NORMALISES and not normalised and node.attributes.get_int("axis", -1) in (-1, 1):
            normalised = True
        elif node.op_type == "Sigmoid" and not normalised:
            raise ModelError(
                f"output {scores.name!r} is a sigmoid of its scores, so that several classes may hold at once; an "
                "exit answers one class: only a model whose scores are logits or a softmax can be given one"
            )
        elif node.op_type != "Identity" and (normalised or node.op_type != "Cast"):
            break
        source = node.inputs[0]
        assert source is not None  # none of these operators does without it
        value = source
    return (value, True) if normalised else (scores, False)


def _nodes_above(flow: DataFlow, logits: ir.Value, outputs: Sequence[str]) -> tuple[str, ...]:
    """Return the data nodes that make `outputs` of `logits` alone."""
    for name, value in zip(outputs, flow.values(outputs), strict=True):
        nodes = flow.ancestors([value], stop=[logits])
        foreign = any(read.is_graph_input() for node in nodes for read in flow.reads(node) if read is not logits)
        if foreign or value.is_graph_input():
            raise ModelError(
                f"output {name!r} is not made of the class scores {logits.name!r} alone, so an exit has nothing "
                "that stands for it: export the model with its class scores only, or train exits into the model "
                "and describe them in its metadata (docs/exits.md)"
            )
        if difficult := [node.name for node in nodes if any(True for _ in subgraphs(node))]:
            raise ModelError(f"output {name!r}: node {difficult[0]!r} holds a subgraph, which no exit can repeat")
    above = flow.ancestors(flow.values(outputs), stop=[logits])
    return tuple(name_of(node) for node in flow.in_order(above))
