"""What can go wrong on an emulated link, and what that does to the bytes of one direction."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from splitnet.errors import InvalidArgumentError

#: The direction that a fault is in: "up" is from the client to the target.
Way = Literal["up", "down", "both"]


@dataclass(frozen=True, slots=True)
class Drop:
    """Every open connection is closed, at once and once; new ones are taken."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nobody listens: who connects is refused (ECONNREFUSED). Open connections stay."""


@dataclass(frozen=True, slots=True)
class BlackHole:
    """Bytes, half-closes and resets vanish, while connections stay open and new ones are accepted.

    A connection that lost bytes stays silent after the healing, as behind a firewall that forgot it; when one of
    its ends gives it up, the other is reset. New ones work, and so do those that had nothing to say meanwhile.
    """

    way: Way = "both"


@dataclass(frozen=True, slots=True)
class Reset:
    """Each connection, new ones too, is reset once `after_bytes` more bytes of it have passed."""

    after_bytes: int = 0
    way: Way = "both"

    def __post_init__(self) -> None:
        _check_count("reset: after_bytes", self.after_bytes, least=0)


@dataclass(frozen=True, slots=True)
class Slice:
    """Bytes pass so many at a time, each time as a write of its own, with a pause after it."""

    size_bytes: int = 1
    pause_s: float = 0.0
    way: Way = "both"

    def __post_init__(self) -> None:
        _check_count("slice: size_bytes", self.size_bytes, least=1)
        _check_seconds("slice: pause_s", self.pause_s)


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing passes for so long (None: until healed); then all of it does, in order."""

    seconds: float | None = None
    way: Way = "both"

    def __post_init__(self) -> None:
        if self.seconds is not None:
            _check_seconds("stall: seconds", self.seconds)


@dataclass(frozen=True, slots=True)
class Delay:
    """Everything is so much later than the link's shape says; the healing lets pass what still waits."""

    seconds: float
    way: Way = "both"

    def __post_init__(self) -> None:
        _check_seconds("delay: seconds", self.seconds)


Fault = Drop | Refuse | BlackHole | Reset | Slice | Stall | Delay


@dataclass(frozen=True, slots=True)
class InForce:
    """A fault, and when it was injected, seconds on the event loop's clock."""

    fault: Fault
    since_s: float


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the faults in force do to the bytes of one direction.

    Attributes:
        swallows: nothing arrives, ever.
        stalled_until_s: nothing passes before, on the event loop's clock.
        delay_s: each piece waits so long, seconds.
        slice: passes so many bytes at a time.
        reset_after_bytes: a connection ends after so many; None: goes on.
        reset_since_s: since when these bytes count, on the event loop's clock.
    """

    swallows: bool = False
    stalled_until_s: float = -math.inf
    delay_s: float = 0.0
    slice: Slice | None = None
    reset_after_bytes: int | None = None
    reset_since_s: float = 0.0


FAIR = Conditions()


def conditions(faults: Iterable[InForce], way: Literal["up", "down"]) -> Conditions:
    """Return what `faults` do in one direction; of two of a kind the later counts."""
    found = FAIR
    for each in faults:
        match each.fault:
            case Drop() | Refuse():
                pass
            case fault if fault.way not in (way, "both"):
                pass
            case BlackHole():
                found = replace(found, swallows=True)
            case Reset(after_bytes):
                found = replace(found, reset_after_bytes=after_bytes, reset_since_s=each.since_s)
            case Slice() as fault:
                found = replace(found, slice=fault)
            case Stall(seconds):
                until_s = math.inf if seconds is None else each.since_s + seconds
                found = replace(found, stalled_until_s=until_s)
            case Delay(seconds):
                found = replace(found, delay_s=seconds)
    return found


def _check_count(name: str, value: int, *, least: int) -> None:
    if value < least:
        raise InvalidArgumentError(f"{name}: expected {least} or more, got {value}")


def _check_seconds(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise InvalidArgumentError(f"{name}: expected 0 or more, got {value:g}")
