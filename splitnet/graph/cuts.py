"""Cuts: down-sets of a model's data nodes, the chain of them that is enumerated, and cuts made by hand.

For the trunk (the data ancestors of the outputs) a cut and its boundary determine one another: every node
below reaches the outputs, so it reaches a boundary tensor, so the nodes below are exactly the boundary's
ancestors. A tensor that separates the trunk alone is therefore a prefix of *every* topological order: any
node placed before its producer reaches the outputs through it. Hence one sweep over the order of the file
finds all single-tensor cuts, and its other prefixes are the multi-tensor cuts between them.
"""

from collections import Counter
from collections.abc import Collection, Sequence

import onnx_ir as ir

from splitnet.errors import ModelError
from splitnet.graph.trunk import Cut, NodePrefix, Trunk
from splitnet.graph.values import name_of


def enumerate_cuts(model: ir.Model, outputs: Sequence[str]) -> tuple[Cut, ...]:
    """Return a nested chain of cuts, one trunk node more each, with every single-tensor cut among them.

    Args:
        model: a model as `load_model` returns it.
        outputs: names of the primary outputs; for a model with early exits those of the last exit.

    Returns:
        From position 0 (the boundary is the inputs that the trunk reads) to the whole trunk (empty boundary).

    Raises:
        NotFoundError: an output is unknown.
        ModelError: the outputs do not depend on the inputs' values.
    """
    trunk = Trunk(model, outputs)
    readers = Counter(value for node in trunk.order for value in trunk.flow.reads(node))
    readers.update(value for value in set(trunk.ends) if trunk.flow.is_data(value))
    crossing = dict.fromkeys(value for value in model.graph.inputs if readers[value])
    cuts = [_chain_cut(trunk, 0, crossing)]
    for position, node in enumerate(trunk.order, start=1):
        for value in trunk.flow.reads(node):
            readers[value] -= 1
            if not readers[value]:
                del crossing[value]
        crossing.update(dict.fromkeys(value for value in node.outputs if readers[value]))
        cuts.append(_chain_cut(trunk, position, crossing if position < len(trunk.order) else {}))
    return tuple(cuts)


def _chain_cut(trunk: Trunk, position: int, crossing: Collection[ir.Value]) -> Cut:
    return Cut(position, tuple(map(name_of, crossing)), NodePrefix(trunk.ranks, position))


def cut_at(model: ir.Model, outputs: Sequence[str], tensors: Sequence[str]) -> Cut:
    """Return the cut whose boundary is exactly `tensors`, in any order; none at all means the whole trunk.

    Args:
        model: a model as `load_model` returns it.
        outputs: names of the primary outputs.
        tensors: names of the data tensors that shall cross.

    Raises:
        NotFoundError: a tensor is unknown; the message offers near names.
        ModelError: the tensors do not separate the outputs from the inputs; the message names what leaks past
            them, or does not cross.
    """
    trunk = Trunk(model, outputs)
    wanted = trunk.flow.values(tensors)
    if not wanted:
        return trunk.cut(trunk.order)
    for value in wanted:
        _refuse_off_trunk(trunk, value, outputs)
    below = trunk.flow.ancestors(wanted)
    boundary = trunk.boundary(below)
    if leaking := [value for value in boundary if value not in wanted]:
        raise ModelError(_leak_message(trunk, tensors, leaking, below))
    if idle := [name_of(value) for value in wanted if value not in boundary]:
        instead = (
            f"; cut at {[name_of(value) for value in boundary]}" if boundary else ", nothing is left above it"
        )
        raise ModelError(f"tensors {idle} do not cross the cut {list(tensors)}: nothing above reads them{instead}")
    return trunk.cut(below)


def _refuse_off_trunk(trunk: Trunk, value: ir.Value, outputs: Sequence[str]) -> None:
    if not trunk.flow.is_data(value):
        raise ModelError(
            f"tensor {value.name!r} is constant or derived from shapes: it is rebuilt above and never crosses"
        )
    producer = value.producer()
    if producer is not None and producer.name not in trunk.ranks:
        raise ModelError(f"tensor {value.name!r} is not on the way to {list(outputs)}; cut at a tensor that is")


def _leak_message(
    trunk: Trunk, tensors: Sequence[str], leaking: list[ir.Value], below: Collection[ir.Node]
) -> str:
    lines = []
    for value in leaking[:5]:
        producer = value.producer()
        origin = "an input" if producer is None else f"made by {producer.name!r} below"
        reader = next(
            (node for node in trunk.order if node not in below and value in trunk.flow.reads(node)), None
        )
        lines.append(f"{value.name!r} ({origin}, {f'read by {reader.name!r} above' if reader else 'an output'})")
    more = f" and {len(leaking) - 5} more" if len(leaking) > 5 else ""
    return (
        f"tensors {list(tensors)} do not separate the model: past them leak {', '.join(lines)}{more}; "
        f"add {[name_of(value) for value in leaking]} to the cut, or cut elsewhere"
    )


def is_below(lower: Cut, upper: Cut) -> bool:
    """Whether every node below `lower` is below `upper` as well, so that a segment lies between them."""
    return lower.nodes <= upper.nodes


def nodes_between(lower: Cut, upper: Cut) -> tuple[str, ...]:
    """Return the data nodes of the segment between two nested cuts, in topological order."""
    return tuple(name for name in upper.nodes if name not in lower.nodes)
