"""A user-space TCP link with a chosen bandwidth, delay, jitter and faults, for tests, demos and benchmarks."""

from splitnet.emulate.faults import BlackHole, Delay, Drop, Fault, Refuse, Reset, Slice, Stall
from splitnet.emulate.precise_loop import new_event_loop
from splitnet.emulate.proxy import LinkStats, Proxy
from splitnet.emulate.shape import LinkShape
from splitnet.emulate.shaped_link import ShapedLink
from splitnet.emulate.steps import Step
from splitnet.emulate.timed_fault import TimedFault, parse_fault, play_fault

__all__ = [
    "BlackHole",
    "Delay",
    "Drop",
    "Fault",
    "LinkShape",
    "LinkStats",
    "Proxy",
    "Refuse",
    "Reset",
    "ShapedLink",
    "Slice",
    "Stall",
    "Step",
    "TimedFault",
    "new_event_loop",
    "parse_fault",
    "play_fault",
]
