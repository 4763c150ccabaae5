"""The placement problem as a table of costs: nodes, tensors, links and exits of any graph, read from JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import StrictBool, TypeAdapter, ValidationError, with_config

from splitnet.config import describe
from splitnet.errors import InvalidArgumentError
from splitnet.plan.checks import (
    check_energies,
    check_exits,
    check_graph,
    check_survival,
    refuse_twice,
    refuse_unknown,
)
from splitnet.plan.parts import CONFIG, Amount, Exit, Link, Name, Node, Survival, Tensor

Objective = Literal["latency", "energy", "bytes", "throughput"]


@with_config(CONFIG)
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
        memory_bytes: the most that what a tier computes may hold together; None: no cap.
        keep_on_device: tensors that never cross a link: the nodes that make and read them are on the device.
        exits: heads, of which one may be attached to the device and a deeper one to the edge.
        survival: of every exit, and of every pair that may be used together, the share of samples past them.
        device_must_exit: where a placement leaves the device, the device must have an exit.

    Raises:
        InvalidArgumentError: a name is unknown or occurs twice, the graph has a cycle, or something that the
            objective or the exits need is missing; the message says where.
    """

    tiers: tuple[Literal["device"], Literal["edge"], Literal["cloud"]]
    nodes: tuple[Node, ...]
    tensors: tuple[Tensor, ...]
    links: tuple[Link, Link]
    objective: Objective
    memory_bytes: tuple[Amount | None, Amount | None, Amount | None] = (None, None, None)
    keep_on_device: tuple[Name, ...] = ()
    exits: tuple[Exit, ...] = ()
    survival: tuple[Survival, ...] = ()
    device_must_exit: StrictBool = False

    def __post_init__(self) -> None:
        check_graph(self.nodes, self.tensors)
        refuse_twice(self.keep_on_device, "keep_on_device[{}]")
        refuse_unknown(self.keep_on_device, {tensor.id for tensor in self.tensors}, "keep_on_device[{}]")
        check_exits(self.exits, self.tensors)
        check_survival(self.survival, self.exits, self.tensors)
        if self.objective == "energy":
            check_energies(self.nodes, self.tensors, self.exits)


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
        raise InvalidArgumentError(describe(err, CostTable)) from err
