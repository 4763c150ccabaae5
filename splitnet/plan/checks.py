"""What a table must be beside its numbers: names that exist, an order, energies and shares that are needed."""

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from splitnet.errors import InvalidArgumentError
from splitnet.plan.ancestors import nodes_before, pairs_of
from splitnet.plan.parts import CodecCost, Exit, Node, Survival, Tensor, WherePossible

# Of a cycle, so many nodes are shown.
_MOST_SHOWN = 5


def refuse_twice(names: Sequence[str], path: str) -> None:
    """Raise where a name occurs twice; `path` says where, with `{}` for its index."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            raise InvalidArgumentError(f"{path.format(index)}: {name!r} occurs twice")
        seen.add(name)


def refuse_unknown(names: Sequence[str], known: set[str], path: str, *, kind: str = "tensor") -> None:
    """Raise where a name is not `known`; `path` says where, with `{}` for its index."""
    for index, name in enumerate(names):
        if name not in known:
            raise InvalidArgumentError(f"{path.format(index)}: there is no {kind} {name!r}")


def check_graph(nodes: Sequence[Node], tensors: Sequence[Tensor]) -> None:
    """Raise unless the nodes can be ordered, each can run somewhere, and every name is known and unique."""
    if not nodes:
        raise InvalidArgumentError("nodes: expected at least one")
    refuse_twice([node.id for node in nodes], "nodes[{}].id")
    for index, node in enumerate(nodes):
        _check_cost(node.cost_ms, f"nodes[{index}]")
    refuse_twice([tensor.id for tensor in tensors], "tensors[{}].id")
    names = {node.id for node in nodes}
    for index, tensor in enumerate(tensors):
        where = f"tensors[{index}]"
        if tensor.producer is not None and tensor.producer not in names:
            raise InvalidArgumentError(f"{where}.producer: there is no node {tensor.producer!r}")
        refuse_twice(tensor.consumers, where + ".consumers[{}]")
        refuse_unknown(tensor.consumers, names, where + ".consumers[{}]", kind="node")
        refuse_twice([way.codec for way in tensor.ways], where + ".codecs[{}].codec")
    _check_order(tensors)


def _check_cost(cost_ms: WherePossible, where: str) -> None:
    if cost_ms == (None, None, None):
        raise InvalidArgumentError(f"{where}.cost_ms: null on all three tiers; expected a number where it can run")


def _check_order(tensors: Sequence[Tensor]) -> None:
    order: TopologicalSorter[str] = TopologicalSorter()
    for tensor in tensors:
        if tensor.producer is not None:
            for consumer in tensor.consumers:
                order.add(consumer, tensor.producer)
    try:
        order.prepare()
    except CycleError as err:
        cycle = err.args[1]
        shown = " -> ".join(cycle if len(cycle) <= _MOST_SHOWN else [*cycle[:_MOST_SHOWN], "…"])
        raise InvalidArgumentError(f"tensors: the nodes {shown} form a cycle of {len(cycle) - 1}") from err


def check_exits(exits: Sequence[Exit], tensors: Sequence[Tensor]) -> None:
    """Raise unless every exit has a name of its own and reads tensors that are there."""
    refuse_twice([entry.id for entry in exits], "exits[{}].id")
    known = {tensor.id for tensor in tensors}
    for index, entry in enumerate(exits):
        where = f"exits[{index}]"
        if not entry.reads:
            raise InvalidArgumentError(f"{where}.reads: expected at least one tensor")
        refuse_twice(entry.reads, where + ".reads[{}]")
        refuse_unknown(entry.reads, known, where + ".reads[{}]")
        _check_cost(entry.cost_ms, where)


def check_survival(survival: Sequence[Survival], exits: Sequence[Exit], tensors: Sequence[Tensor]) -> None:
    """Raise unless the share of every choice of exits is there once, and no pair lets more past than one of it."""
    names = [entry.id for entry in exits]
    shares: dict[frozenset[str], float] = {}
    for index, entry in enumerate(survival):
        where = f"survival[{index}]"
        refuse_twice(entry.exits, where + ".exits[{}]")
        refuse_unknown(entry.exits, set(names), where + ".exits[{}]", kind="exit")
        if not 1 <= len(entry.exits) <= 2:
            raise InvalidArgumentError(f"{where}.exits: expected one or two, got {len(entry.exits)}")
        if frozenset(entry.exits) in shares:
            raise InvalidArgumentError(f"{where}.exits: {list(entry.exits)} occurs twice")
        shares[frozenset(entry.exits)] = entry.share
    pairs = [(names[a], names[b]) for a, b in pairs_of(nodes_before(exits, tensors))]
    for needed in (*((name,) for name in names), *pairs):
        if frozenset(needed) not in shares:
            raise InvalidArgumentError(f"survival: the share of {list(needed)} is missing")
    for index, entry in enumerate(survival):
        for name in entry.exits:
            most = shares[frozenset({name})]
            if entry.share > most:
                raise InvalidArgumentError(
                    f"survival[{index}].share: expected at most the {most:g} past {name!r}; got {entry.share:g}"
                )


def check_energies(nodes: Sequence[Node], tensors: Sequence[Tensor], exits: Sequence[Exit]) -> None:
    """Raise where an energy is missing that the objective "energy" needs."""
    kinds: dict[str, Sequence[Node | Exit]] = {"nodes": nodes, "exits": exits}
    for kind, entries in kinds.items():
        for index, entry in enumerate(entries):
            where = f"{kind}[{index}].energy_mj"
            if entry.energy_mj is None:
                raise InvalidArgumentError(f"{where}: missing; the objective energy needs it")
            for tier, (spent, taken) in enumerate(zip(entry.energy_mj, entry.cost_ms, strict=True)):
                if spent is None and taken is not None:
                    raise InvalidArgumentError(
                        f"{where}[{tier}]: null; the objective energy needs it wherever cost_ms is a number"
                    )
    for index, tensor in enumerate(tensors):
        for number, way in enumerate(tensor.ways):
            if missing := missing_energy(way):
                raise InvalidArgumentError(
                    f"tensors[{index}].codecs[{number}].{missing}: missing; the objective energy needs it"
                )


def missing_energy(way: CodecCost) -> str | None:
    """Return which energy of `way` is not known although it takes time."""
    if way.encode_mj is None and any(way.encode_ms):
        return "encode_mj"
    return "decode_mj" if way.decode_mj is None and any(way.decode_ms) else None
