"""Faults as text: what each says, and what is none."""

import pytest

from splitnet.emulate import BlackHole, Delay, Drop, Refuse, Reset, Slice, Stall, TimedFault, parse_fault
from splitnet.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("drop at 2s", TimedFault(Drop(), 2.0)),
        ("refuse for 500ms", TimedFault(Refuse(), 0.0, 0.5)),
        ("black-hole at 5s for 2s", TimedFault(BlackHole(), 5.0, 2.0)),
        ("black-hole down", TimedFault(BlackHole("down"))),
        ("reset", TimedFault(Reset())),
        ("reset 1k up", TimedFault(Reset(1000, "up"))),
        ("slice 1", TimedFault(Slice())),
        ("slice 7 2ms up at 1s", TimedFault(Slice(7, 0.002, "up"), 1.0)),
        ("stall", TimedFault(Stall())),
        ("stall 3s", TimedFault(Stall(3.0))),
        ("delay 10s up", TimedFault(Delay(10.0, "up"))),
    ],
)
def test_what_a_text_says(text: str, expected: TimedFault) -> None:
    assert parse_fault(text) == expected


WRONG = """
at 5s
drop up
refuse down
black-hole 5
reset 1 2
slice
slice 0
slice 1 2ms 3
delay
stall 5
earthquake
drop at
drop for 2s at 5s now
delay 1s sideways"""


@pytest.mark.parametrize("text", WRONG.split("\n"))
def test_what_no_text_may_say(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="expected drop, refuse, black-hole"):
        parse_fault(text)
