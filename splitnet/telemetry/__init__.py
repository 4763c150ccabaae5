"""What a tier tells of itself: events, written to the log; `metrics`, imported where it is asked for, counts them."""

from splitnet.telemetry.events import (
    BreakerState,
    Events,
    Exchange,
    Listeners,
    RequestEnd,
    SegmentRun,
)
from splitnet.telemetry.logs import RequestLog, start_logging

__all__ = [
    "BreakerState",
    "Events",
    "Exchange",
    "Listeners",
    "RequestEnd",
    "RequestLog",
    "SegmentRun",
    "start_logging",
]
