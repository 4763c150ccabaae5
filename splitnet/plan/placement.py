"""The planner's answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from splitnet.tiers import Tier

#: (exit on the device, exit on the edge).
ExitNames = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Placement:
    """What runs where, what is sent, and what that is expected to cost a sample.

    Attributes:
        tier_of: the tier where each node's result is made for the way up; what an exit needs may be computed below
            as well.
        exits: the exits on the device and on the edge.
        codecs: for each link used upwards, how each tensor is sent, in topological order.
        value: the objective: ms, mJ or bytes.
        latency_ms: expected latency, whatever the objective.
        stages: what `latency_ms` is the sum of, in ms, each weighted by the share of samples that get there:
            "device", "device exit", "device-edge", "edge", "edge exit", "edge-cloud", "cloud", those that occur;
            a link's holds encoding, decoding, both ways and the round trip.
        bytes: expected bytes up on each link used, `message_bytes` included.
        energy_mj: expected energy; None unless all energies are known.
    """

    tier_of: Mapping[str, Tier]
    exits: ExitNames
    codecs: tuple[Mapping[str, str], ...]
    value: float
    latency_ms: float
    stages: tuple[tuple[str, float], ...]
    bytes: tuple[float, ...]
    energy_mj: float | None

    @property
    def last(self) -> int:
        """Index of the tier where the plan ends: the number of links used."""
        return len(self.codecs)


def simplest(placement: Placement) -> tuple[float, int, int, float]:
    """Order placements: least value first; if 12 digits agree, fewer tiers, then exits, then milliseconds."""
    attached = sum(name is not None for name in placement.exits)
    return float(f"{placement.value:.12g}"), placement.last, attached, placement.latency_ms


@dataclass(frozen=True, slots=True)
class Solution:
    """A placement of least cost, and how sure that is.

    Attributes:
        placement: the best that was found.
        bound: no placement costs less.
        gap: (value - bound) / value; 0 where both are 0.
        method: the solver that proved the bound.
    """

    placement: Placement
    bound: float
    gap: float
    method: Literal["min-cut", "milp", "chain"]
