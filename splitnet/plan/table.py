"""The placement problem as a table of costs: nodes, tensors and links of any graph, read from JSON and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StrictFloat, TypeAdapter, ValidationError, with_config

from splitnet.errors import InvalidArgumentError

Objective = Literal["latency", "energy", "bytes", "throughput"]

Amount = Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1)]
PerTier = tuple[Amount, Amount, Amount]

# Of a file full of mistakes, so many are told at once.
_MOST_FINDINGS = 5
_LONGEST_SHOWN = 80
_CONFIG = ConfigDict(extra="forbid")


@with_config(_CONFIG)
@dataclass(frozen=True, slots=True)
class Node:
    """One operator or block.

    Attributes:
        id: its name, unique among the nodes.
        cost_ms: time of one sample on device, edge and cloud, in ms.
        memory_bytes: what it holds of its tier's memory.
        energy_mj: energy of one sample on device, edge and cloud, in mJ; only the objective "energy" needs it.
    """

    id: Name
    cost_ms: PerTier
    memory_bytes: Amount = 0.0
    energy_mj: PerTier | None = None


@with_config(_CONFIG)
@dataclass(frozen=True, slots=True)
class Tensor:
    """What flows from one node to others.

    Attributes:
        id: its name, unique among the tensors.
        producer: the node that makes it, or None: an input of the model, which is on the device.
        consumers: the nodes that read it; none: it is an answer, which goes back to the device.
        bytes: its size for one sample.
    """

    id: Name
    producer: Name | None
    consumers: tuple[Name, ...]
    bytes: Amount


@with_config(_CONFIG)
@dataclass(frozen=True, slots=True)
class Link:
    """What a link costs.

    Attributes:
        bandwidth_bps: bits a second, above zero.
        rtt_ms: paid once if anything crosses the link, in ms.
        energy_mj_per_byte: energy of one byte, up or down, in mJ.
    """

    bandwidth_bps: Annotated[StrictFloat, Field(gt=0, allow_inf_nan=False)]
    rtt_ms: Amount
    energy_mj_per_byte: Amount = 0.0


@with_config(_CONFIG)
@dataclass(frozen=True, slots=True)
class CostTable:
    """Which tier runs which node: the costs, and what a placement must respect.

    A consumer's tier is never below its producer's. Numbers are checked by `from_json`, names and order always.

    Attributes:
        tiers: device, edge, cloud.
        nodes: what is placed, at least one.
        tensors: what flows between them.
        links: device to edge, edge to cloud.
        objective: what to minimise; "throughput" is the time of the slowest stage.
        memory_bytes: the most that the nodes of each tier may hold together; None: no cap.
        keep_on_device: tensors that never cross a link: the nodes that make and read them are on the device.

    Raises:
        InvalidArgumentError: a name is unknown or occurs twice, or the graph has a cycle; the message says where.
    """

    tiers: tuple[Literal["device"], Literal["edge"], Literal["cloud"]]
    nodes: tuple[Node, ...]
    tensors: tuple[Tensor, ...]
    links: tuple[Link, Link]
    objective: Objective
    memory_bytes: tuple[Amount | None, Amount | None, Amount | None] = (None, None, None)
    keep_on_device: tuple[Name, ...] = ()

    def __post_init__(self) -> None:
        if not self.nodes:
            raise InvalidArgumentError("nodes: expected at least one")
        _refuse_twice([node.id for node in self.nodes], "nodes[{}].id")
        _refuse_twice([tensor.id for tensor in self.tensors], "tensors[{}].id")
        _refuse_twice(self.keep_on_device, "keep_on_device[{}]")
        _refuse_unknown(self.keep_on_device, {tensor.id for tensor in self.tensors}, "keep_on_device[{}]")
        self._check_tensors()
        self._check_order()
        if self.objective == "energy":
            for index, node in enumerate(self.nodes):
                if node.energy_mj is None:
                    raise InvalidArgumentError(f"nodes[{index}].energy_mj: missing; the objective energy needs it")

    def _check_tensors(self) -> None:
        names = {node.id for node in self.nodes}
        for index, tensor in enumerate(self.tensors):
            where = f"tensors[{index}]"
            if tensor.producer is not None and tensor.producer not in names:
                raise InvalidArgumentError(f"{where}.producer: there is no node {tensor.producer!r}")
            _refuse_twice(tensor.consumers, where + ".consumers[{}]")
            _refuse_unknown(tensor.consumers, names, where + ".consumers[{}]", kind="node")

    def _check_order(self) -> None:
        order: TopologicalSorter[str] = TopologicalSorter()
        for tensor in self.tensors:
            if tensor.producer is not None:
                for consumer in tensor.consumers:
                    order.add(consumer, tensor.producer)
        try:
            order.prepare()
        except CycleError as err:
            cycle = err.args[1]
            shown = " -> ".join(cycle if len(cycle) <= _MOST_FINDINGS else [*cycle[:_MOST_FINDINGS], "…"])
            raise InvalidArgumentError(f"tensors: the nodes {shown} form a cycle of {len(cycle) - 1}") from err


_ADAPTER = TypeAdapter(CostTable)


def from_json(value: Mapping[str, Any]) -> CostTable:
    """Build the table from what a JSON file holds.

    Raises:
        InvalidArgumentError: something is missing, unknown or out of range; the message gives its path, such as
            `nodes[3].cost_ms[1]`.
    """
    try:
        return _ADAPTER.validate_python(value)
    except ValidationError as err:
        found = err.errors(include_url=False, include_context=False)
        findings = [_finding(item["type"], item["loc"], item["msg"], item["input"]) for item in found]
        more = f"; and {len(found) - _MOST_FINDINGS} more" if len(found) > _MOST_FINDINGS else ""
        raise InvalidArgumentError("; ".join(findings[:_MOST_FINDINGS]) + more) from err


def _finding(kind: str, loc: Sequence[str | int], message: str, given: object) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{path}: unknown key"
    if kind == "missing":
        return f"{path}: missing"
    message = message.replace("Tuple", "List").replace("tuple", "list").replace(" after validation", "")
    shown = repr(given)
    return f"{path or 'the whole'}: {message}" + (f"; got {shown}" if len(shown) <= _LONGEST_SHOWN else "")


def _refuse_twice(names: Sequence[str], path: str) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            raise InvalidArgumentError(f"{path.format(index)}: {name!r} occurs twice")
        seen.add(name)


def _refuse_unknown(names: Sequence[str], known: set[str], path: str, *, kind: str = "tensor") -> None:
    for index, name in enumerate(names):
        if name not in known:
            raise InvalidArgumentError(f"{path.format(index)}: there is no {kind} {name!r}")
