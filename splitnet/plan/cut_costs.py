"""What a split at each cut of an order costs with each way to send it: for pictures, not for choosing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from splitnet.plan.parts import PLAIN, CodecCost, Tensor
from splitnet.plan.table import CostTable
from splitnet.tiers import TIERS, Tier


@dataclass(frozen=True, slots=True)
class CutCost:
    """A split in two, without exits: the device up to the cut, one tier above it from there on.

    Attributes:
        position: how many nodes are below the cut.
        tensors: what crosses.
        way: how those that can be sent so are sent; the others go as they are.
        tiers: the device and the tier that computes the rest, the quicker of edge and cloud.
        stages: expected ms by stage, as in `Placement`.
        bytes: of one sample on each link, message included.
    """

    position: int
    tensors: tuple[str, ...]
    way: str
    tiers: tuple[Tier, Tier]
    stages: tuple[tuple[str, float], ...]
    bytes: tuple[float, ...]

    @property
    def latency_ms(self) -> float:
        """The sum of the stages."""
        return sum(ms for _, ms in self.stages)


def cut_costs(table: CostTable, order: Sequence[str]) -> list[CutCost]:
    """Return the cost of every cut of `order` that can be sent, with every way that one of its tensors has.

    Args:
        table: the problem; forbidden tiers, caps and `keep_on_device` are left out of account.
        order: a topological order of all nodes.
    """
    names = dict.fromkeys(way.codec for tensor in table.tensors if tensor.consumers for way in tensor.ways)
    elapsed = _elapsed(table, order)
    costs = []
    for position, crossing in enumerate(_boundaries(table, order)):
        answered = _answered(table, order[position:])
        for name in names:
            sent = _ways(crossing, name)
            if sent is not None:
                routes = [_route(table, elapsed, position, sent, answered, last) for last in (1, 2)]
                stages, nbytes = min(routes, key=lambda route: sum(ms for _, ms in route[0]))
                tensors = tuple(tensor.id for tensor in crossing)
                costs.append(CutCost(position, tensors, name, ("device", TIERS[len(nbytes)]), stages, nbytes))
    return costs


def _elapsed(table: CostTable, order: Sequence[str]) -> list[tuple[float, ...]]:
    """The ms from the input to each position, by tier."""
    cost_ms = {node.id: node.cost_ms for node in table.nodes}
    elapsed: list[tuple[float, ...]] = [(0.0,) * len(TIERS)]
    for name in order:
        elapsed.append(tuple(ms + (own or 0.0) for ms, own in zip(elapsed[-1], cost_ms[name], strict=True)))
    return elapsed


def _boundaries(table: CostTable, order: Sequence[str]) -> Iterator[list[Tensor]]:
    """Yield for each position but the last the tensors that cross there."""
    ranks = {name: rank for rank, name in enumerate(order)}
    born: dict[int, list[Tensor]] = {}
    for tensor in table.tensors:
        if tensor.consumers:
            born.setdefault(0 if tensor.producer is None else ranks[tensor.producer] + 1, []).append(tensor)
    last_read = {
        tensor.id: max(map(ranks.__getitem__, tensor.consumers)) for made in born.values() for tensor in made
    }
    crossing: list[Tensor] = []
    for position in range(len(order)):
        crossing = [one for one in [*crossing, *born.get(position, ())] if last_read[one.id] >= position]
        yield crossing


def _answered(table: CostTable, above: Sequence[str]) -> float:
    """The bytes of the answers that come back."""
    made = set(above)
    return sum(tensor.bytes for tensor in table.tensors if not tensor.consumers and tensor.producer in made)


def _ways(crossing: Sequence[Tensor], name: str) -> list[CodecCost] | None:
    """How each tensor goes when those that can go by `name`; None where one cannot go, or none goes by `name`."""
    sent = []
    for tensor in crossing:
        ways = {way.codec: way for way in tensor.ways}
        if name not in ways and PLAIN not in ways:
            return None
        sent.append(ways.get(name) or ways[PLAIN])
    return sent if any(way.codec == name for way in sent) else None


def _route(
    table: CostTable,
    elapsed: Sequence[tuple[float, ...]],
    position: int,
    sent: Sequence[CodecCost],
    answered: float,
    last: int,
) -> tuple[tuple[tuple[str, float], ...], tuple[float, ...]]:
    """The stages and the bytes on each link when tier `last` computes the rest."""
    nbytes = sum(way.bytes for way in sent)
    stages = [(str(TIERS[0]), elapsed[position][0])]
    for index, link in enumerate(table.links[:last]):
        ms = link.rtt_ms + 8000 * (nbytes + link.message_bytes + answered) / link.bandwidth_bps
        ms += sum(way.encode_ms[0] for way in sent) if index == 0 else 0.0
        ms += sum(way.decode_ms[last] for way in sent) if index == last - 1 else 0.0
        stages.append((f"{TIERS[index]}-{TIERS[index + 1]}", ms))
    stages.append((TIERS[last], elapsed[-1][last] - elapsed[position][last]))
    return tuple(stages), tuple(nbytes + link.message_bytes for link in table.links[:last])
