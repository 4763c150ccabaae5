"""The model as the report draws it: every node with its tier, every tensor with what crosses."""

from collections.abc import Iterator

from splitnet.graph import NodeClass, classify
from splitnet.partition.memory import weight_bytes
from splitnet.partition.result import PartitionResult
from splitnet.report import GraphEdge, GraphNode
from splitnet.tiers import TIERS

_CLASSES = {NodeClass.DATA: "data", NodeClass.SHAPE: "shape", NodeClass.CONSTANT: "constant"}


def graph_of(result: PartitionResult) -> tuple[tuple[GraphNode, ...], tuple[GraphEdge, ...]]:
    """Return the nodes in topological order, and the data edges between those of the trunk."""
    return tuple(_nodes(result)), tuple(_edges(result))


def _nodes(result: PartitionResult) -> Iterator[GraphNode]:
    analysis, times = result.search.analysis, result.search.costs.times
    tier_of = result.placement.tier_of
    held = weight_bytes(analysis.model, analysis.flow.nodes)
    classes = classify(analysis.model)
    for node in analysis.model.graph:
        if node.name is None:
            continue
        tier = tier_of.get(node.name)
        ms = (
            times.node_ms[node.name][TIERS.index(tier)] if tier is not None and node.name in times.node_ms else 0.0
        )
        yield GraphNode(node.name, node.op_type, tier, ms, held.get(node.name, 0), _CLASSES[classes[node.name]])


def _edges(result: PartitionResult) -> Iterator[GraphEdge]:
    analysis, placement = result.search.analysis, result.placement
    for tensor in analysis.flow.tensors:
        if tensor.producer is None:
            continue
        spec, source = analysis.specs.get(tensor.name), TIERS.index(placement.tier_of[tensor.producer])
        nbytes = float(spec.sample_nbytes) if spec is not None else 0.0
        for consumer in tensor.consumers:
            crosses = TIERS.index(placement.tier_of[consumer]) > source
            way = placement.codecs[source][tensor.name] if crosses else ""
            sent = result.search.costs.nbytes(tensor.name, way) if crosses else nbytes
            yield GraphEdge(tensor.producer, consumer, int(sent), crosses, way)
