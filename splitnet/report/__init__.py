"""One self-contained HTML page about a plan: why this one, beside all that was weighed."""

from splitnet.report.data import (
    BandwidthCurve,
    Choice,
    CutPoint,
    GraphEdge,
    GraphNode,
    Link,
    Machine,
    Report,
    StageTimes,
    Takeover,
)
from splitnet.report.write import write_report

__all__ = [
    "BandwidthCurve",
    "Choice",
    "CutPoint",
    "GraphEdge",
    "GraphNode",
    "Link",
    "Machine",
    "Report",
    "StageTimes",
    "Takeover",
    "write_report",
]
