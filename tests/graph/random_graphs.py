"""Random graphs of elementwise operators for Hypothesis, and their cuts by brute force from the file's text."""

from dataclasses import dataclass
from itertools import combinations

import onnx
from hypothesis import strategies as st

from tests.graph.models import Net

Subset = frozenset[str]


@dataclass(frozen=True)
class RandomGraph:
    """A model whose inputs are `x` (always) and `z` (sometimes), with its primary outputs."""

    proto: onnx.ModelProto
    outputs: tuple[str, ...]


@st.composite
def random_graphs(draw: st.DrawFn, most: int = 9) -> RandomGraph:
    """Draw a graph of up to `most` nodes; every tensor is [batch, channels]."""
    net = Net(draw(st.integers(0, 99)))
    channels = {"x": 2, "z": 2} if draw(st.booleans()) else {"x": 2}
    inputs: dict[str, list[int | str]] = {name: ["N", 2] for name in channels}
    for _ in range(draw(st.integers(1, most))):
        # Mostly the newest tensors, or graphs become wide and have no single-tensor cuts.
        names = list(channels)[-draw(st.integers(1, 4)) :]
        first = draw(st.sampled_from(names))
        alike = [name for name in channels if channels[name] == channels[first]]
        kind = draw(st.sampled_from(["Relu", "Add", "Mul", "Concat", "Split", "Bias"]))
        if kind == "Split" and channels[first] > 1 and channels[first] % 2 == 0:
            halves = net.ops("Split", first, outs=[f"t{len(net.nodes)}a", f"t{len(net.nodes)}b"], axis=1)
            channels |= dict.fromkeys(halves, channels[first] // 2)
            continue
        second = draw(st.sampled_from(list(channels) if kind == "Concat" else alike))
        operands = {"Relu": [first], "Split": [first], "Bias": [first, net.weight(1, 1)]}.get(
            kind, [first, second]
        )
        operator = {"Split": "Neg", "Bias": "Add"}.get(kind, kind)
        made = net.op(operator, *operands, out=f"t{len(net.nodes)}", **({"axis": 1} if kind == "Concat" else {}))
        channels[made] = channels[first] + (channels[second] if kind == "Concat" else 0)
    ends = [name for name in channels if name not in inputs]
    outputs = [ends[-1]]
    if draw(st.integers(0, 3)) == 0:
        outputs = sorted({ends[-1], draw(st.sampled_from(ends))})
    return RandomGraph(net.proto(inputs, {name: ["N", channels[name]] for name in outputs}), tuple(outputs))


class BruteForce:
    """Every down-set of a graph's trunk with its boundary, straight from the definition."""

    def __init__(self, graph: RandomGraph) -> None:
        proto = graph.proto.graph
        self.inputs = frozenset(value.name for value in proto.input)
        self.outputs = frozenset(graph.outputs)
        weights = {tensor.name for tensor in proto.initializer}
        self._reads = {node.name: frozenset(node.input) - weights for node in proto.node}
        self._makes = {node.name: frozenset(node.output) for node in proto.node}
        self.trunk = self.ancestors(self.outputs)
        subsets = (
            frozenset(some) for n in range(len(self.trunk) + 1) for some in combinations(sorted(self.trunk), n)
        )
        self.boundaries = {each: self.boundary(each) for each in subsets if self.is_down_set(each)}

    def ancestors(self, tensors: Subset) -> Subset:
        found: set[str] = set()
        needed = set(tensors)
        for node in reversed(self._makes):  # The file is in topological order.
            if self._makes[node] & needed:
                found.add(node)
                needed |= self._reads[node]
        return frozenset(found)

    def is_down_set(self, nodes: Subset) -> bool:
        made = self.inputs.union(*(self._makes[node] for node in nodes))
        return all(self._reads[node] <= made for node in nodes)

    def boundary(self, nodes: Subset) -> Subset:
        if nodes == self.trunk:
            return frozenset()
        made = self.inputs.union(*(self._makes[node] for node in nodes))
        return made & self.outputs.union(*(self._reads[node] for node in self.trunk - nodes))

    def reached_past(self, tensors: Subset) -> Subset:
        """Return the inputs that the outputs still depend on when `tensors` are given."""
        needed = set(self.outputs - tensors)
        for node in reversed(self._makes):
            if self._makes[node] & needed:
                needed |= self._reads[node] - tensors
        return self.inputs & needed
