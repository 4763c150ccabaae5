"""What a tier tells of itself: events, and the log of them; `metrics`, which is imported where needed, counts."""

from splitnet.telemetry.events import (
    BreakerState,
    Events,
    Exchange,
    Listeners,
    RequestEnd,
    SegmentRun,
)
from splitnet.telemetry.logs import RequestLog, log_standing, start_logging
from splitnet.telemetry.request_ids import is_request_id, new_request_id

__all__ = [
    "BreakerState",
    "Events",
    "Exchange",
    "Listeners",
    "RequestEnd",
    "RequestLog",
    "SegmentRun",
    "is_request_id",
    "log_standing",
    "new_request_id",
    "start_logging",
]
