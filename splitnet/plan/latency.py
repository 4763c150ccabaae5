"""The cost model: the expected latency of one given placement."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import InvalidArgumentError
from splitnet.plan.problem import LinkCost, Placement, Problem, Wire
from splitnet.tiers import TIERS


def elapsed_ms(problem: Problem) -> NDArray[np.float64]:
    """Return the K + 1 times in ms from the input to each cut position on the reference machine."""
    return np.concatenate(([0.0], np.cumsum(problem.cost_ms, dtype=np.float64)))


def transfer_ms(link: LinkCost, nbytes: float, answer_nbytes: float) -> float:
    """Return the round trip in ms of one sample of `nbytes` up and its answer down, without any codec."""
    return 2 * link.delay_ms + link.overhead_ms + 8000 * (nbytes + answer_nbytes) / link.bandwidth_bps


def is_relay(wires: Sequence[tuple[int, str]], exits: Sequence[int | None]) -> bool:
    """Whether the edge passes on what it received: the same position and codec, and no exit of its own."""
    return len(wires) == len(TIERS) - 1 and wires[0] == wires[1] and exits[1] is None


def evaluate(
    problem: Problem, last: int, wires: Sequence[tuple[int, str]], exits: Sequence[int | None]
) -> Placement:
    """Return the given choice with its cost.

    A device exit demanded by `exit_on_device_required` is not asked for here, so that any choice can be compared.

    Args:
        problem: the numbers.
        last: index of the tier where the plan ends.
        wires: (position, codec) of each link used.
        exits: index of the exit at each tier but the last, or None.

    Raises:
        InvalidArgumentError: the choice does not fit the problem.
    """
    chosen = _chosen_wires(problem, last, wires)
    _check_exits(problem, wires, exits)
    elapsed, relay = elapsed_ms(problem), is_relay(wires, exits)
    stages: list[tuple[str, float]] = []
    depths: list[int] = []
    sent: list[float] = []
    start, reach = 0, 1.0
    for tier in range(last + 1):
        speed, head = problem.speeds[tier], exits[tier] if tier < last else None
        end = wires[tier][0] if tier < last else problem.steps
        depths.append(end if head is None else max(end, problem.exits[head].position))
        stages.append((TIERS[tier], reach * float(elapsed[depths[-1]] - elapsed[start]) / speed))
        if head is not None:
            stages.append((f"{TIERS[tier]} exit", reach * problem.exits[head].cost_ms / speed))
        if tier < last:
            reach, start = problem.surviving(exits[: tier + 1]), end
            link_ms = _link_ms(problem, tier, chosen[tier], relay=relay)
            stages.append((f"{TIERS[tier]}-{TIERS[tier + 1]}", reach * link_ms))
            sent.append(reach * chosen[tier].nbytes)
    predicted_ms = sum(ms for _, ms in stages)
    return Placement(last, tuple(wires), tuple(exits), tuple(depths), predicted_ms, tuple(stages), tuple(sent))


def _link_ms(problem: Problem, tier: int, wire: Wire, *, relay: bool) -> float:
    """Link and codec time above `tier`; in a relay only the device encodes and only the cloud decodes."""
    encode_ms = 0.0 if relay and tier == 1 else wire.encode_ms / problem.speeds[tier]
    decode_ms = 0.0 if relay and tier == 0 else wire.decode_ms / problem.speeds[tier + 1]
    return encode_ms + transfer_ms(problem.links[tier], wire.nbytes, problem.answer_nbytes) + decode_ms


def _chosen_wires(problem: Problem, last: int, wires: Sequence[tuple[int, str]]) -> list[Wire]:
    """Look the wires up, checking that they go upwards."""
    if not 0 <= last < len(TIERS):
        raise InvalidArgumentError(f"last: expected 0, 1 or 2, got {last}")
    if len(wires) != last:
        raise InvalidArgumentError(f"wires: expected {last}, one a link used, got {len(wires)}")
    chosen: list[Wire] = []
    before = 0
    for position, codec in wires:
        if not before <= position < problem.steps:
            raise InvalidArgumentError(f"wires: position {position} is not in {before}..{problem.steps - 1}")
        found = [wire for wire in problem.wires[position] if wire.codec == codec]
        if not found:
            names = [wire.codec for wire in problem.wires[position]]
            raise InvalidArgumentError(f"wires: position {position} cannot be sent as {codec!r}, only as {names}")
        chosen.append(found[0])
        before = position
    return chosen


def _check_exits(problem: Problem, wires: Sequence[tuple[int, str]], exits: Sequence[int | None]) -> None:
    """Check that exits get deeper, and that no tier starts beyond its own exit."""
    if len(exits) != len(wires):
        raise InvalidArgumentError(f"exits: expected {len(wires)}, one a tier but the last, got {len(exits)}")
    before, start = -1, 0
    for index, (position, _) in zip(exits, wires, strict=True):
        if index is not None:
            if not 0 <= index < len(problem.exits):
                raise InvalidArgumentError(f"exits: there is no exit {index}, only {len(problem.exits)}")
            point = problem.exits[index]
            if point.position <= before:
                raise InvalidArgumentError(f"exits: {point.name!r} is not deeper than the exit before it")
            if point.position < start:
                raise InvalidArgumentError(
                    f"exits: {point.name!r} at position {point.position} is before {start}, where its tier starts"
                )
            before = point.position
        start = position
