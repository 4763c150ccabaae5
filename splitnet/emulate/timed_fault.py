"""Faults as people write them, with when they begin and end, such as "slice 1 2ms at 5s for 10s"."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from splitnet.emulate.faults import BlackHole, Delay, Drop, Fault, Refuse, Reset, Slice, Stall, Way
from splitnet.emulate.proxy import Proxy
from splitnet.errors import InvalidArgumentError
from splitnet.units import parse_duration_s, parse_size

_EXPECTED = (
    "expected drop, refuse, black-hole, reset [BYTES], slice BYTES [PAUSE], stall [TIME] or delay TIME, "
    "each but the first two with up or down for one direction, then at TIME and for TIME, "
    "such as 'black-hole at 5s for 2s'"
)
_WAYS: Mapping[str, Way] = {"up": "up", "down": "down"}


@dataclass(frozen=True, slots=True)
class TimedFault:
    """A fault, and when it is in force.

    Attributes:
        fault: what goes wrong.
        at_s: when, seconds from when the link is there.
        for_s: how long; None: for good.
    """

    fault: Fault
    at_s: float = 0.0
    for_s: float | None = None


def parse_fault(text: str) -> TimedFault:
    """Read a fault.

    Raises:
        InvalidArgumentError: it is none; the message says what would be one.
    """
    words = text.split()
    try:
        for_s, at_s = _time_after("for", words), _time_after("at", words)
        way = _WAYS[words.pop()] if words and words[-1] in _WAYS else None
        return TimedFault(_fault(words, way), at_s or 0.0, for_s)
    except InvalidArgumentError as err:
        raise InvalidArgumentError(f"fault {text!r}: {_EXPECTED}") from err


async def play_fault(proxy: Proxy, timed: TimedFault) -> None:
    """Inject a fault when it is time and heal it when that is over."""
    await asyncio.sleep(timed.at_s)
    await proxy.inject(timed.fault)
    if timed.for_s is not None:
        await asyncio.sleep(timed.for_s)
        await proxy.heal(timed.fault)


def _fault(words: Sequence[str], way: Way | None) -> Fault:
    found: Fault | None = None
    match words:
        case ["drop"] if way is None:
            found = Drop()
        case ["refuse"] if way is None:
            found = Refuse()
        case ["black-hole"]:
            found = BlackHole(way or "both")
        case ["reset", *size] if len(size) <= 1:
            found = Reset(parse_size(size[0]) if size else 0, way or "both")
        case ["slice", size, *pause] if len(pause) <= 1:
            found = Slice(parse_size(size), parse_duration_s(pause[0]) if pause else 0.0, way or "both")
        case ["stall", *time] if len(time) <= 1:
            found = Stall(parse_duration_s(time[0]) if time else None, way or "both")
        case ["delay", time]:
            found = Delay(parse_duration_s(time), way or "both")
    if found is None:
        raise InvalidArgumentError("no such fault")
    return found


def _time_after(word: str, words: list[str]) -> float | None:
    """Take `word` and the time behind it out of the words' end."""
    if len(words) < 2 or words[-2] != word:
        return None
    seconds = parse_duration_s(words[-1])
    del words[-2:]
    return seconds
