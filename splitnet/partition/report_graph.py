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
    """The inputs, which are on the device, and every node where it is computed for the way up."""
    analysis, times = result.search.analysis, result.search.all_costs.times
    tier_of = result.placement.tier_of
    held = weight_bytes(analysis.model, analysis.flow.nodes)
    classes = classify(analysis.model)
    for spec in analysis.inputs:
        yield GraphNode(spec.name, "input", "device", 0.0, 0, "data")
    for node in analysis.model.graph:
        name = node.name or ""
        tier = tier_of.get(name)
        ms = times.of([name])[TIERS.index(tier)] if tier is not None else 0.0
        yield GraphNode(name, node.op_type, tier, ms or 0.0, held.get(name, 0), _CLASSES[classes[name]])


def _edges(result: PartitionResult) -> Iterator[GraphEdge]:
    analysis, placement = result.search.analysis, result.placement
    for tensor in analysis.flow.tensors:
        spec = analysis.specs.get(tensor.name)
        source = 0 if tensor.producer is None else TIERS.index(placement.tier_of[tensor.producer])
        nbytes = float(spec.sample_nbytes) if spec is not None else 0.0
        for consumer in tensor.consumers:
            crosses = TIERS.index(placement.tier_of[consumer]) > source
            way = placement.codecs[source][tensor.name] if crosses else ""
            sent = result.search.all_costs.nbytes(tensor.name, way) if crosses else nbytes
            yield GraphEdge(tensor.producer or tensor.name, consumer, int(sent), crosses, way)
