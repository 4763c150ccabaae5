"""From a model and a site to the planner's table of costs."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from splitnet.cost import Link as SiteLink
from splitnet.errors import ConfigError, ModelError
from splitnet.graph import FlowTensor, head_nodes, head_reads
from splitnet.package import MESSAGE_BYTES
from splitnet.partition.analysis import Analysis
from splitnet.partition.memory import peak_activation_bytes, weight_bytes
from splitnet.partition.options import PartitionOptions
from splitnet.partition.times import PerTier, Times
from splitnet.partition.ways import PricedWay
from splitnet.plan import CodecCost, CostTable, Exit, Link, Node, Survival, Tensor
from splitnet.tiers import TIERS

#: What a hop adds in software on both of its sides, milliseconds (benchmarks/pipeline_latency.py).
HOP_MS = 0.9


@dataclass(frozen=True, slots=True)
class Costs:
    """All that the planner's tables are made of.

    Attributes:
        table: with every way to send every tensor.
        times: the model's, on each tier.
    """

    table: CostTable
    times: Times

    def nbytes(self, tensor: str, way: str) -> float:
        """Return the bytes of one sample of `tensor` when it is sent by `way`."""
        entry = next(entry for entry in self.table.tensors if entry.id == tensor)
        return next(one.bytes for one in entry.codecs or () if one.codec == way)

    def where(self, is_allowed: Callable[[str, str], bool]) -> "Costs":
        """Return the same with only those ways to send a tensor for which `is_allowed(tensor, way)`."""
        tensors = tuple(
            tensor
            if tensor.codecs is None
            else replace(tensor, codecs=tuple(way for way in tensor.codecs if is_allowed(tensor.id, way.codec)))
            for tensor in self.table.tensors
        )
        return replace(self, table=replace(self.table, tensors=tensors))


def make_costs(
    analysis: Analysis, options: PartitionOptions, times: Times, ways: Mapping[str, Sequence[PricedWay]]
) -> Costs:
    """Return the costs of every node on every tier and of every tensor on every link.

    Args:
        analysis: the model.
        options: the job, its site among them.
        times: of the nodes.
        ways: by tensor, how it can be sent; a tensor without ways cannot cross a link.

    Raises:
        ConfigError: a machine lacks what the objective or a cap needs.
        InvalidArgumentError: `keep_on_device` names no tensor of the model.
    """
    maker = _Maker(analysis, options, times)
    site = options.site
    table = CostTable(
        tiers=("device", "edge", "cloud"),
        nodes=maker.nodes(),
        tensors=tuple(entry for tensor in analysis.flow.tensors for entry in maker.tensors(tensor, ways)),
        links=(_link(site.links[0]), _link(site.links[1])),
        objective=options.objective,
        memory_bytes=maker.caps(),
        keep_on_device=tuple(dict.fromkeys(options.keep_on_device)),
        exits=maker.exits(),
        survival=maker.survival(),
        # A device that has sent everything up has nothing to say when nobody answers.
        device_must_exit=bool(analysis.exits.heads),
    )
    return Costs(table, times)


def _link(link: SiteLink) -> Link:
    return Link(
        bandwidth_bps=link.bandwidth_bps,
        rtt_ms=2 * link.delay_ms + HOP_MS,
        energy_mj_per_byte=link.energy_mj_per_byte or 0.0,
        message_bytes=float(MESSAGE_BYTES),
    )


class _Maker:
    """What several parts of a table are made from."""

    def __init__(self, analysis: Analysis, options: PartitionOptions, times: Times) -> None:
        self._analysis = analysis
        self._times = times
        self._machines = (options.site.device, options.site.edge, options.site.cloud)
        if options.objective == "energy":
            for tier, machine in zip(TIERS, self._machines, strict=True):
                if machine.watts is None:
                    raise ConfigError(
                        f"machine.{machine.name}.watts: missing, and objective energy needs it for the {tier}; "
                        f"give it in a section [machine.{machine.name}] of the deployment file (0 leaves the tier "
                        "out of the account)"
                    )

    def nodes(self) -> tuple[Node, ...]:
        held = weight_bytes(self._analysis.model, self._analysis.flow.nodes)
        nodes = []
        for name in self._analysis.flow.nodes:
            cost_ms = self._times.of([name])
            nodes.append(Node(name, cost_ms, float(held[name]), self._energy(cost_ms)))
        return tuple(nodes)

    def tensors(self, tensor: FlowTensor, ways: Mapping[str, Sequence[PricedWay]]) -> list[Tensor]:
        """Return the entry of `tensor`, and one more for an answer that nodes read as well."""
        spec = self._analysis.specs.get(tensor.name)
        nbytes = float(spec.sample_nbytes) if spec is not None else 0.0
        entries = []
        if tensor.consumers:
            codecs = tuple(self._codec(way) for way in ways.get(tensor.name, ()))
            entries.append(Tensor(tensor.name, tensor.producer, tensor.consumers, nbytes, codecs))
        if tensor.is_output:
            name = f"{tensor.name} as an answer" if tensor.consumers else tensor.name
            entries.append(Tensor(name, tensor.producer, (), nbytes))
        return entries

    def _codec(self, way: PricedWay) -> CodecCost:
        encode_ms, decode_ms = self._scaled(way.encode_ms), self._scaled(way.decode_ms)
        return CodecCost(
            way.way.name, way.nbytes, encode_ms, decode_ms, self._spent(encode_ms), self._spent(decode_ms)
        )

    def _scaled(self, ms: float) -> tuple[float, float, float]:
        device, edge, cloud = (ms * slowness for slowness in self._times.slowness)
        return device, edge, cloud

    def _energy(self, cost_ms: PerTier) -> PerTier | None:
        """Watts times ms is mJ; None where a machine's power is not known."""
        if any(machine.watts is None for machine in self._machines):
            return None
        device, edge, cloud = (
            None if ms is None or machine.watts is None else ms * machine.watts
            for ms, machine in zip(cost_ms, self._machines, strict=True)
        )
        return device, edge, cloud

    def _spent(self, ms: tuple[float, float, float]) -> tuple[float, float, float] | None:
        device, edge, cloud = (
            None if machine.watts is None else one * machine.watts
            for one, machine in zip(ms, self._machines, strict=True)
        )
        if device is None or edge is None or cloud is None:
            return None
        return device, edge, cloud

    def caps(self) -> tuple[float | None, float | None, float | None]:
        """What each machine has for weights, beside the activations of one sample."""
        peak = peak_activation_bytes(self._analysis.model, self._analysis.flow)
        device, edge, cloud = (
            None if machine.memory_bytes is None else max(0.0, float(machine.memory_bytes - peak))
            for machine in self._machines
        )
        return device, edge, cloud

    def exits(self) -> tuple[Exit, ...]:
        trunk = frozenset(self._analysis.flow.nodes)
        model, entries = self._analysis.model, []
        for head in self._analysis.exits.heads:
            own = head_nodes(model, head.tensors, trunk)
            cost_ms = self._times.of(own)
            held = float(sum(weight_bytes(model, own).values()))
            reads = head_reads(model, head.tensors, trunk)
            entries.append(Exit(head.confidence, reads, cost_ms, self._energy(cost_ms), held))
        self._check_depths(entries)
        return tuple(entries)

    def _check_depths(self, exits: Sequence[Exit]) -> None:
        """Raise unless each exit needs more of the trunk than the one before."""
        made = {tensor.name: tensor.producer for tensor in self._analysis.flow.tensors}
        ranks = {name: rank for rank, name in enumerate(self._analysis.flow.nodes)}
        depths = [
            max((ranks[producer] for name in one.reads if (producer := made[name])), default=-1) for one in exits
        ]
        for (before, depth), after in zip(itertools.pairwise(depths), exits[1:], strict=True):
            if depth <= before:
                raise ModelError(
                    f"exit {after.id!r} is not deeper than the exit before it in the model's metadata; "
                    "exits come in order of depth"
                )

    def survival(self) -> tuple[Survival, ...]:
        heads = self._analysis.exits.heads
        return tuple(
            Survival(tuple(heads[index].confidence for index in sorted(used)), left)
            for used, left in self._analysis.exits.survival.items()
            if used
        )
