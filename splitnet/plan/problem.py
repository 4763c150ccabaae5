"""The planner's problem and its answer: numbers only, checked where they enter."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from numbers import Real

from splitnet.errors import InvalidArgumentError
from splitnet.tiers import TIERS


def _check_number(field: str, value: object, *, positive: bool = False, finite: bool = True) -> None:
    """Raise unless `value` is a number that is not negative (`positive`: above zero; `finite`: below infinity)."""
    wanted = ("finite and " if finite else "") + ("above zero" if positive else "not negative")
    number = float(value) if isinstance(value, Real) else math.nan
    ok = number > 0 if positive else number >= 0  # NaN fails both
    if not ok or (finite and math.isinf(number)):
        raise InvalidArgumentError(f"{field}: expected a number, {wanted}; got {value!r}")


@dataclass(frozen=True, slots=True)
class Wire:
    """One way to send a cut.

    Attributes:
        codec: its name, unique among the wires of one position.
        nbytes: bytes of one sample, all tensors of the cut together.
        encode_ms: time to encode one sample on the reference machine (speed 1.0), in ms.
        decode_ms: time to decode one sample on the reference machine, in ms.
    """

    codec: str
    nbytes: float
    encode_ms: float
    decode_ms: float

    def __post_init__(self) -> None:
        for field in ("nbytes", "encode_ms", "decode_ms"):
            _check_number(f"wire {self.codec!r}: {field}", getattr(self, field))


@dataclass(frozen=True, slots=True)
class LinkCost:
    """What a link costs.

    Attributes:
        bandwidth_bps: bits a second, each way; may be infinite.
        delay_ms: one-way delay in ms.
        overhead_ms: time spent in software for one round trip, in ms.
    """

    bandwidth_bps: float
    delay_ms: float
    overhead_ms: float

    def __post_init__(self) -> None:
        _check_number("bandwidth_bps", self.bandwidth_bps, positive=True, finite=False)
        _check_number("delay_ms", self.delay_ms)
        _check_number("overhead_ms", self.overhead_ms)


@dataclass(frozen=True, slots=True)
class ExitPoint:
    """An exit head that may be attached.

    Attributes:
        name: what to call it, unique within a problem.
        position: the cut position whose tensors it reads.
        cost_ms: time of the head for one sample on the reference machine, in ms.
    """

    name: str
    position: int
    cost_ms: float

    def __post_init__(self) -> None:
        _check_number(f"exit {self.name!r}: cost_ms", self.cost_ms)


@dataclass(frozen=True, slots=True)
class Problem:
    """Where to cut a chain of K steps into at most three tiers, and which exits to attach.

    Attributes:
        cost_ms: K times in ms: from cut position i to i + 1 on the reference machine.
        wires: K + 1 entries: the ways to send at position i (none: it cannot be sent there). Position 0 is the
            model's input; position K, its output, is never sent up.
        speeds: relative speed of device, edge and cloud; a time is cost / speed.
        links: device to edge, edge to cloud.
        exits: the exit heads, by position.
        survival: the fraction of samples that left at none of these exits, by set of exit indices. Every single
            exit and every pair at different positions must be there; the empty set is 1.0.
        answer_nbytes: bytes of one answer on its way back.
        exit_on_device_required: where a plan leaves the device, the device must have an exit (so that it can
            answer alone).

    Raises:
        InvalidArgumentError: a field is out of range; the message names it.
    """

    cost_ms: tuple[float, ...]
    wires: tuple[tuple[Wire, ...], ...]
    speeds: tuple[float, float, float]
    links: tuple[LinkCost, LinkCost]
    exits: tuple[ExitPoint, ...]
    survival: Mapping[frozenset[int], float]
    answer_nbytes: float
    exit_on_device_required: bool = False

    def __post_init__(self) -> None:
        self._check_chain()
        self._check_machines()
        self._check_exits()
        self._check_survival()

    @property
    def steps(self) -> int:
        """K, the number of steps; also the position of the model's output."""
        return len(self.cost_ms)

    def surviving(self, exits: Collection[int | None]) -> float:
        """Return the fraction of samples that left at none of `exits` (None stands for no exit)."""
        used = frozenset(index for index in exits if index is not None)
        return self.survival[used] if used else 1.0

    def _check_chain(self) -> None:
        if not self.cost_ms:
            raise InvalidArgumentError("cost_ms: expected at least one step, got none")
        for index, cost in enumerate(self.cost_ms):
            _check_number(f"cost_ms[{index}]", cost)
        if len(self.wires) != self.steps + 1:
            raise InvalidArgumentError(
                f"wires: expected {self.steps + 1} entries, one a cut position; got {len(self.wires)}"
            )
        for position, wires in enumerate(self.wires):
            codecs = [wire.codec for wire in wires]
            if len(set(codecs)) < len(codecs):
                raise InvalidArgumentError(f"wires[{position}]: a codec occurs twice in {codecs}")

    def _check_machines(self) -> None:
        if len(self.speeds) != len(TIERS):
            raise InvalidArgumentError(f"speeds: expected 3 (device, edge, cloud), got {len(self.speeds)}")
        for tier, speed in zip(TIERS, self.speeds, strict=True):
            _check_number(f"speeds: {tier}", speed, positive=True, finite=False)
        if len(self.links) != len(TIERS) - 1:
            raise InvalidArgumentError(f"links: expected 2 (device-edge, edge-cloud), got {len(self.links)}")
        _check_number("answer_nbytes", self.answer_nbytes)

    def _check_exits(self) -> None:
        names = [point.name for point in self.exits]
        if len(set(names)) < len(names):
            raise InvalidArgumentError(f"exits: a name occurs twice in {names}")
        before = 0
        for index, point in enumerate(self.exits):
            if not before <= point.position < self.steps:
                raise InvalidArgumentError(
                    f"exits[{index}] {point.name!r}: position {point.position} is not in "
                    f"{before}..{self.steps - 1}; exits come in order of depth"
                )
            before = point.position

    def _check_survival(self) -> None:
        indices = frozenset(range(len(self.exits)))
        for used, left in self.survival.items():
            if not frozenset(used) <= indices:
                raise InvalidArgumentError(f"survival: expected sets of exits below {len(indices)}, got {used!r}")
            _check_number(f"survival[{sorted(used)}]", left)
            if left > 1 or (not used and left != 1):
                raise InvalidArgumentError(
                    f"survival[{sorted(used)}]: got {left}; expected at most 1 (no exit: 1)"
                )
        for a, point in enumerate(self.exits):
            deeper = (b for b in indices if self.exits[b].position > point.position)
            for used in (frozenset({a}), *(frozenset({a, b}) for b in deeper)):
                if used not in self.survival:
                    raise InvalidArgumentError(f"survival[{sorted(used)}]: missing")


@dataclass(frozen=True, slots=True)
class Placement:
    """One answer: what runs where, what is sent, and what that is expected to cost a sample.

    A tier starts at the position of the wire it receives (the device at 0) and computes to its depth. The wire it
    sends may be an earlier position than its depth: what lies between is computed again above.

    Attributes:
        last: index of the tier where the plan ends: 0 device, 1 edge, 2 cloud.
        wires: (position, codec) of each link used, so `last` entries.
        exits: index of the exit attached at each tier but the last, or None; `last` entries.
        depths: how deep each tier computes, `last` + 1 entries; the last is K.
        predicted_ms: expected latency of a sample, in ms.
        stages: what `predicted_ms` is the sum of, each weighted by the probability that a sample gets there:
            (name, ms) with names "device", "device exit", "device-edge", "edge", "edge exit", "edge-cloud",
            "cloud"; a stage that the plan does not have is left out.
        bytes: expected bytes of a sample on each link used, upwards.
    """

    last: int
    wires: tuple[tuple[int, str], ...]
    exits: tuple[int | None, ...]
    depths: tuple[int, ...]
    predicted_ms: float
    stages: tuple[tuple[str, float], ...]
    bytes: tuple[float, ...]
