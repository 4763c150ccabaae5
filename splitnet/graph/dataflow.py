"""The data edges of a model, ready for walks: shape-derived and constant tensors are no edges here."""

from collections.abc import Collection, Iterable, Iterator

import onnx_ir as ir

from splitnet.graph.classify import NodeClass, classify_values
from splitnet.graph.values import look_up, reads, value_table


class DataFlow:
    """Data tensors, and the data nodes that read and produce them.

    Attributes:
        model: the model it was made of, in topological order (as `load_model` leaves it).
    """

    def __init__(self, model: ir.Model) -> None:
        self.model = model
        self._table = value_table(model)
        self._classes = classify_values(model)
        self._reads = {
            node: tuple(value for value in reads(node) if self.is_data(value))
            for node, found in self._classes.nodes.items()
            if found is NodeClass.DATA
        }

    def values(self, names: Iterable[str]) -> list[ir.Value]:
        """Return the values called `names`; NotFoundError offers near names for an unknown one."""
        return look_up(self._table, names)

    def is_data(self, value: ir.Value) -> bool:
        """Whether the samples' values reach `value`."""
        return self._classes.values.get(value) is NodeClass.DATA

    def is_data_node(self, node: ir.Node) -> bool:
        """Whether `node` is a data node of the top-level graph."""
        return node in self._reads

    def reads(self, node: ir.Node) -> tuple[ir.Value, ...]:
        """Return the data tensors that the data node `node` reads, each once."""
        return self._reads[node]

    def in_order(self, nodes: Collection[ir.Node]) -> list[ir.Node]:
        """Return `nodes` in topological order."""
        return [node for node in self._reads if node in nodes]

    def ancestors(self, values: Iterable[ir.Value], stop: Collection[ir.Value] = ()) -> set[ir.Node]:
        """Return the data nodes that compute `values`, walking back no further than the tensors `stop`."""
        found: set[ir.Node] = set()
        waiting = [value for value in values if value not in stop]
        while waiting:
            node = waiting.pop().producer()
            if node is None or node in found or node not in self._reads:
                continue
            found.add(node)
            waiting.extend(value for value in self._reads[node] if value not in stop)
        return found

    def crossing(
        self, below: Collection[ir.Node], above: Iterable[ir.Node], ends: Iterable[ir.Value]
    ) -> Iterator[ir.Value]:
        """Yield what `above` reads, and of `ends`, that is a graph input or comes from `below`, each once.

        With `below` a down-set, `above` the rest of the trunk and `ends` its outputs this is the boundary.
        """
        needed = dict.fromkeys(value for node in above for value in self._reads[node])
        needed.update(dict.fromkeys(value for value in ends if self.is_data(value)))
        for value in needed:
            producer = value.producer()
            if producer is None or producer in below:
                yield value
