"""Early exits on the graph: which nodes are an exit's own, and from which cut on it can answer."""

from bisect import bisect_left
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import onnx_ir as ir

from splitnet.errors import ModelError
from splitnet.graph.dataflow import DataFlow
from splitnet.graph.trunk import Cut
from splitnet.graph.values import name_of


def head_nodes(model: ir.Model, outputs: Sequence[str], trunk: AbstractSet[str]) -> frozenset[str]:
    """Return the data nodes of an exit's head: ancestors of its outputs that are not in the trunk.

    Args:
        model: a model as `load_model` returns it.
        outputs: names of the exit's outputs.
        trunk: names of the trunk's nodes, the `nodes` of the last cut.
    """
    return _ancestors(model, outputs) - trunk


def exit_position(cuts: Sequence[Cut], model: ir.Model, exit_outputs: Sequence[str]) -> int:
    """Return the smallest position whose cut has all trunk ancestors of `exit_outputs` below it.

    Args:
        cuts: the whole chain that `enumerate_cuts` returned.
        model: the model it was made of.
        exit_outputs: names of the exit's outputs.

    Raises:
        NotFoundError: an output is unknown.
        ModelError: `cuts` is empty.
    """
    if not cuts:
        raise ModelError("an exit has no position without cuts; pass the whole chain of enumerate_cuts")
    needed = _ancestors(model, exit_outputs) & frozenset(cuts[-1].nodes)
    return cuts[bisect_left(cuts, x=True, key=lambda cut: needed <= cut.nodes)].position


def _ancestors(model: ir.Model, outputs: Sequence[str]) -> frozenset[str]:
    flow = DataFlow(model)
    return frozenset(name_of(node) for node in flow.ancestors(flow.values(outputs)))
