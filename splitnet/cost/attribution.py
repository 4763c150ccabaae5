"""Which nodes of the model the times of onnxruntime's kernels belong to, after it has rewritten the graph.

At full optimisation nodes are fused and layouts changed. A kernel is then called after a node of the model
("MatMul_3"), with more before or behind ("fused Gemm_1", "MatMul_3/MatMulScaleFusion/"), after the tensor that it
makes ("relu_1_nchwc"), or after nothing in the model ("BiasGelu_token_2", "ReorderInput").
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

# What onnxruntime adds to a name for a kernel in another layout, and where the name is taken already.
_LAYOUT = re.compile(r"(_bn)?_nchwc$")
_TAKEN = re.compile(r"_token_\d+$")
_FUSED = "fused "
_TO_LAYOUT, _FROM_LAYOUT = "ReorderInput", "ReorderOutput"

# A kernel that takes so many times what its node took alone does the work of others too.
_GROWN = 2.0


@dataclass(frozen=True, slots=True)
class NodeTensors:
    """A node's place in its graph.

    Attributes:
        reads: names of the tensors that it takes.
        makes: names of the tensors that it makes.
    """

    reads: tuple[str, ...]
    makes: tuple[str, ...]


def attribute(
    full_us: Mapping[str, float], basic_us: Mapping[str, float], nodes: Mapping[str, NodeTensors]
) -> dict[str, float]:
    """Return the time of each node of the model at full optimisation; the sum is that of the kernels.

    A node without a kernel of its own was fused into what reads it, or into a nameless kernel that ran just before
    that. What several nodes share is divided as their times at basic optimisation are.

    Args:
        full_us: times of the kernels at full optimisation, in order of execution.
        basic_us: the same at basic optimisation, where nearly every node still has a kernel.
        nodes: the model's, in topological order, by name.
    """
    assert nodes, "a model has nodes"
    alone_us = _shared(basic_us, nodes, dict.fromkeys(nodes, 0.0))
    return _shared(full_us, nodes, alone_us)


def _shared(
    kernels_us: Mapping[str, float], nodes: Mapping[str, NodeTensors], alone_us: Mapping[str, float]
) -> dict[str, float]:
    """Divide the kernels' times among nodes; those that share one in proportion to `alone_us`."""
    groups = _groups(kernels_us, nodes)
    spent_us = dict.fromkeys(nodes, 0.0)
    for host, group in groups.items():
        spent_us |= group.shares(host, alone_us)
    return spent_us


@dataclass(slots=True)
class _Group:
    """What goes with a host, which is a node that has a kernel.

    Attributes:
        own_us: time of the host's kernels, and of changing layouts for them.
        nameless_us: time of nameless kernels that ran just before.
        fused: names of the nodes without a kernel that were fused into one of these.
    """

    own_us: float = 0.0
    nameless_us: float = 0.0
    fused: list[str] = field(default_factory=list)

    def shares(self, host: str, alone_us: Mapping[str, float]) -> dict[str, float]:
        if not self.fused:
            return {host: self.own_us + self.nameless_us}
        if self.own_us > _GROWN * alone_us[host] and any(alone_us[name] for name in self.fused):
            return _divided(self.own_us + self.nameless_us, [*self.fused, host], alone_us)
        return {host: self.own_us} | _divided(self.nameless_us, self.fused, alone_us)


def _divided(time_us: float, names: list[str], alone_us: Mapping[str, float]) -> dict[str, float]:
    """Divide in proportion to `alone_us`; where that is 0 for all, the first gets it."""
    total = sum(alone_us[name] for name in names)
    return {name: time_us * alone_us[name] / total for name in names} if total else {names[0]: time_us}


def _groups(kernels_us: Mapping[str, float], nodes: Mapping[str, NodeTensors]) -> dict[str, _Group]:
    """Group nodes and times by host."""
    origins = _Origins(nodes)
    found = [(kernel, origins.of(kernel), time_us) for kernel, time_us in kernels_us.items()]
    hosts = list(dict.fromkeys(origin for _, origin, _ in found if origin is not None)) or list(nodes)[:1]
    groups = {host: _Group() for host in hosts}
    before, waiting = hosts[0], _Group()
    for kernel, origin, time_us in found:
        if origin is not None:
            groups[origin].own_us += time_us + waiting.own_us
            groups[origin].nameless_us += waiting.nameless_us
            before, waiting = origin, _Group()
        elif kernel.startswith(_FROM_LAYOUT):
            groups[before].own_us += time_us
        elif kernel.startswith(_TO_LAYOUT):
            waiting.own_us += time_us
        else:
            waiting.nameless_us += time_us
    groups[before].own_us += waiting.own_us + waiting.nameless_us
    for name, host in _hosts(nodes, groups).items():
        if name != host:
            groups[host].fused.append(name)
    return groups


def _hosts(nodes: Mapping[str, NodeTensors], groups: Mapping[str, _Group]) -> dict[str, str]:
    """The host of each node: itself, or that of its first reader; of what nobody reads, the host behind it."""
    hosts: dict[str, str] = {}
    reader_of: dict[str, str] = {}
    behind = next(name for name in [*reversed(list(nodes)), *groups] if name in groups)
    for name, node in reversed(list(nodes.items())):
        reader = next((reader_of[tensor] for tensor in node.makes if tensor in reader_of), None)
        if name in groups:
            hosts[name] = behind = name
        else:
            hosts[name] = behind if reader is None else hosts[reader]
        reader_of |= dict.fromkeys(node.reads, name)
    return {name: hosts[name] for name in nodes}


class _Origins:
    """Finds the node that a kernel is called after."""

    def __init__(self, nodes: Mapping[str, NodeTensors]) -> None:
        self._nodes = nodes
        self._makers = {tensor: name for name, node in nodes.items() for tensor in node.makes}

    def of(self, kernel: str) -> str | None:
        """Return the node's name, or None for a kernel that is called after nothing in the model."""
        for name in _spellings(kernel):
            if name in self._nodes:
                return name
            if _LAYOUT.search(name) and (maker := self._makers.get(_LAYOUT.sub("", name))) is not None:
                return maker
        return None


def _spellings(kernel: str) -> Iterator[str]:
    """Yield the name as it is, then with ever less of what onnxruntime may have added."""
    for spelling in (kernel, _TAKEN.sub("", kernel), kernel.removeprefix(_FUSED)):
        parts = spelling.split("/")
        yield from ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
