"""Names and edges: values looked up by name, and everything a node reads, its subgraphs' captures included."""

import difflib
from collections.abc import Iterable, Iterator, Mapping

import onnx_ir as ir

from splitnet.errors import ModelError, NotFoundError


def value_table(model: ir.Model) -> dict[str, ir.Value]:
    """Return the named values of the top-level graph: inputs, initialisers and node outputs."""
    return ir.convenience.create_value_mapping(model.graph, include_subgraphs=False)


def look_up(table: Mapping[str, ir.Value], names: Iterable[str]) -> list[ir.Value]:
    """Return the values called `names`, in that order.

    Raises:
        NotFoundError: a name is unknown; the message offers the names nearest to it.
    """
    found = []
    for name in names:
        value = table.get(name)
        if value is None:
            near = difflib.get_close_matches(name, table, n=3)
            hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise NotFoundError(f"the model has no tensor {name!r}{hint}")
        found.append(value)
    return found


def name_of(item: ir.Value | ir.Node) -> str:
    """Return the name of a value or node.

    Raises:
        ModelError: it has none, so the model did not come from `load_model`.
    """
    if not item.name:
        raise ModelError("the model has a node or tensor without a name; load it with splitnet.graph.load_model")
    return item.name


def subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    """Yield the graphs that `node` holds directly: the branches of an If, the body of a Loop or Scan."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def inner_nodes(node: ir.Node) -> Iterator[ir.Node]:
    """Yield every node inside the subgraphs of `node`, at any depth."""
    for graph in subgraphs(node):
        yield from graph.all_nodes()


def reads(node: ir.Node) -> tuple[ir.Value, ...]:
    """Return the values of the graph of `node` that it reads, captured ones included, each once."""
    explicit = [value for value in node.inputs if value is not None]
    captured = [
        value
        for inner in inner_nodes(node)
        for value in inner.inputs
        if value is not None and value.graph is node.graph
    ]
    return tuple(dict.fromkeys([*explicit, *captured]))
