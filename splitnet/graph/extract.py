"""Extraction: the ONNX model between two boundaries, with what it needs of constants and shapes inside.

Shape-derived tensors never cross a boundary. Where a segment needs the shape of a tensor that it does not
hold, the shape is rebuilt from the batch size of the segment's own input: after an early exit has taken
samples out, the sizes that a lower tier saw are wrong.
"""

from collections.abc import Collection, Sequence

import onnx_ir as ir
from onnx_ir.passes import common as passes

from splitnet.errors import ModelError
from splitnet.graph.dataflow import DataFlow
from splitnet.graph.rebuild import rebuild_shapes
from splitnet.graph.values import name_of, reads


def extract_segment(model: ir.Model, inputs: Sequence[str], outputs: Sequence[str]) -> ir.Model:
    """Return the segment of `model` between the boundary tensors `inputs` and `outputs`.

    The segment's inputs are exactly `inputs`, in that order, whether it reads them all or not. An output that
    is itself an input passes through: it is left out, and the caller relays it. Shapes must have been recorded
    (`record_shapes`). The source model is unchanged, and weights are shared with it, not copied.

    Args:
        model: a model as `load_model` returns it.
        inputs: names of the tensors below; with them the segment needs nothing else that depends on data.
        outputs: names of the tensors above.

    Raises:
        NotFoundError: a tensor is unknown.
        ModelError: no outputs remain; the inputs do not bound the outputs (the missing tensors are named); an
            input or output has no recorded element type and shape; a shape cannot be rebuilt.
    """
    flow = DataFlow(model)
    bounds = flow.values(dict.fromkeys(inputs))
    wanted = [value for value in flow.values(dict.fromkeys(outputs)) if value not in bounds]
    if not wanted:
        raise ModelError(f"no outputs remain: {list(outputs)} are all inputs of the segment; relay them instead")
    needed = flow.ancestors(wanted, stop=bounds)
    _refuse_unbounded(flow, bounds, wanted, needed)
    _refuse_untyped([*bounds, *wanted])
    lost = _lost_shapes(flow, bounds, wanted, needed)
    graph = ir.convenience.extract(model.graph, [*bounds, *lost], wanted)
    rebuild_shapes(graph, lost, kept=len(bounds))
    return _as_model(model, graph)


def _refuse_unbounded(
    flow: DataFlow, bounds: Collection[ir.Value], wanted: Sequence[ir.Value], needed: set[ir.Node]
) -> None:
    """Raise ModelError naming what `wanted` needs besides `bounds`, where it needs anything."""
    for value in bounds:
        if not flow.is_data(value):
            raise ModelError(f"segment input {value.name!r} is constant or derived from shapes; leave it out")
    reached = dict.fromkeys(value for node in flow.in_order(needed) for value in flow.reads(node))
    unbounded = any(value.is_graph_input() and value not in bounds for value in [*reached, *wanted])
    # A node with one output among the bounds and another one needed would be computed here again.
    split = [value for value in [*reached, *wanted] if value not in bounds and _sibling_of(value, bounds)]
    if not unbounded and not split:
        return
    below = flow.ancestors(bounds)
    missing = [
        value for value in flow.crossing(below, flow.in_order(needed - below), wanted) if value not in bounds
    ]
    raise ModelError(
        f"segment inputs {[value.name for value in bounds]} do not bound outputs "
        f"{[value.name for value in wanted]}; "
        f"missing {sorted({name_of(value) for value in [*missing, *split]})}"
    )


def _sibling_of(value: ir.Value, bounds: Collection[ir.Value]) -> bool:
    producer = value.producer()
    return producer is not None and any(output in bounds for output in producer.outputs)


def _refuse_untyped(values: Sequence[ir.Value]) -> None:
    for value in values:
        if value.dtype is None or value.shape is None:
            raise ModelError(
                f"tensor {value.name!r} has no element type and shape on record; call record_shapes first"
            )


def _lost_shapes(
    flow: DataFlow, bounds: Collection[ir.Value], wanted: Sequence[ir.Value], needed: set[ir.Node]
) -> list[ir.Value]:
    """Return the outputs of Shape and Size nodes that the segment needs, but whose input it does not hold."""
    lost: list[ir.Value] = []
    seen: set[ir.Node] = set()
    waiting = [value for node in needed for value in reads(node)] + list(wanted)
    while waiting:
        node = waiting.pop().producer()
        if node is None or node in seen or flow.is_data_node(node):
            continue
        seen.add(node)
        sources = reads(node)
        # Only Shape and Size read data without being data nodes.
        if any(
            flow.is_data(value) and value not in bounds and value.producer() not in needed for value in sources
        ):
            lost.extend(node.outputs)
        else:
            waiting.extend(sources)
    return lost


def _as_model(source: ir.Model, graph: ir.Graph) -> ir.Model:
    segment = ir.Model(
        graph,
        ir_version=source.ir_version,
        producer_name=source.producer_name,
        producer_version=source.producer_version,
        domain=source.domain,
        model_version=source.model_version,
        doc_string=source.doc_string,
        functions=[function.clone() for function in source.functions.values()],
        metadata_props=dict(source.metadata_props),
    )
    passes.RemoveUnusedFunctionsPass()(segment)  # type: ignore[no-untyped-call]  # its __init__ has no annotations
    passes.RemoveUnusedOpsetsPass()(segment)
    return segment
