"""What a plan of a package takes under given conditions: latency of a request, and time of its slowest stage."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from splitnet.package import MESSAGE_BYTES, LinkEntry, PlanEntry
from splitnet.tiers import TIERS, Tier


@dataclass(frozen=True, slots=True)
class Conditions:
    """What plans are predicted for.

    Attributes:
        links: device to edge, edge to cloud.
        slowness: by tier, time of a segment over what the package says; 1 where nothing is known.
        queue_ms: by tier, how long a request waits there to be computed.
        samples: in a request.
        in_flight: requests of the device under way at a time.
        is_up: whether the tier above is reached.
    """

    links: tuple[LinkEntry, LinkEntry]
    slowness: Mapping[Tier, float] = field(default_factory=dict)
    queue_ms: Mapping[Tier, float] = field(default_factory=dict)
    samples: float = 1.0
    in_flight: float = 1.0
    is_up: bool = True


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a plan takes.

    Attributes:
        latency_ms: of a request when `in_flight` of them are under way, ms; infinite where it cannot be answered.
        slowest_ms: of a request at the slowest of tiers and links: what limits how many are answered, ms.
        remote_ms: of `latency_ms`, what a request that goes up spends at the tiers above the device.
    """

    latency_ms: float
    slowest_ms: float
    remote_ms: float


def predict(plan: PlanEntry, conditions: Conditions) -> Prediction:
    """Predict a request by `plan`.

    Stages follow one another, so that a request alone takes their sum; of several that are under way, all wait for
    each other at the slowest.
    """
    if plan.wires and not conditions.is_up:
        return Prediction(math.inf, math.inf, math.inf)
    computing = [_compute_ms(plan, index, conditions) for index in range(len(plan.stages))]
    waiting = [
        _goes_ms(plan, index, conditions.queue_ms.get(TIERS[index], 0.0), conditions)
        for index in range(len(computing))
    ]
    carrying = [_carry_ms(plan, index, conditions) for index in range(len(plan.wires))]
    round_trips = [
        _goes_ms(plan, index + 1, conditions.links[index].rtt_ms, conditions) for index in range(len(plan.wires))
    ]
    slowest_ms = max([*computing, *carrying])
    above_ms = sum(computing[1:]) + sum(waiting[1:]) + sum(carrying[1:]) + sum(round_trips[1:])
    alone_ms = computing[0] + waiting[0] + sum(carrying[:1]) + sum(round_trips[:1]) + above_ms
    gets_up = _goes_ms(plan, 1, 1.0, conditions) if plan.wires else 1.0
    return Prediction(max(alone_ms, conditions.in_flight * slowest_ms), slowest_ms, above_ms / max(gets_up, 1e-6))


def _compute_ms(plan: PlanEntry, index: int, conditions: Conditions) -> float:
    stage = plan.stages[index]
    return stage.compute_ms * stage.reach * conditions.samples * conditions.slowness.get(stage.tier, 1.0)


def _carry_ms(plan: PlanEntry, index: int, conditions: Conditions) -> float:
    samples = conditions.samples * plan.stages[index + 1].reach
    nbytes = samples * plan.wires[index].sample_bytes + _goes_ms(plan, index + 1, MESSAGE_BYTES, conditions)
    return nbytes * 8e3 / conditions.links[index].bandwidth_bps


def _goes_ms(plan: PlanEntry, index: int, once: float, conditions: Conditions) -> float:
    """What is paid once by a request of which any sample gets to the tier `index`, on average of all requests."""
    return once * (1.0 - math.pow(1.0 - plan.stages[index].reach, conditions.samples))
