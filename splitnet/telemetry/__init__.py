"""What a tier tells of itself: events, counted for Prometheus and written to the log."""

from splitnet.telemetry.events import (
    BreakerState,
    Events,
    Exchange,
    Listeners,
    RequestEnd,
    SegmentRun,
)

__all__ = ["BreakerState", "Events", "Exchange", "Listeners", "RequestEnd", "SegmentRun"]
