"""What a tier tells of itself: events, and the log of them; `metrics`, which is imported where needed, counts."""

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
