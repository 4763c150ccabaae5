"""Links between tiers: a gRPC stream to the tier above, a server for the tiers below."""

from splitnet.link.client.calls import TierClient
from splitnet.link.client.link import Link
from splitnet.link.client.upstreams import Upstreams
from splitnet.link.serving.dataplane import (
    PACKAGE_PARAMETER,
    PLAN_PARAMETER,
    VERSION_PARAMETER,
    DataPlane,
    ModelRepository,
    TierResponse,
)
from splitnet.link.serving.server import TierServer
from splitnet.link.serving.statistics import Statistics
from splitnet.link.status import STATUS_NAMES
from splitnet.link.terms import CANCEL_PARAMETER, DEADLINE_PARAMETER
from splitnet.link.timer import Alarm, DeadlineTimer

__all__ = [
    "CANCEL_PARAMETER",
    "DEADLINE_PARAMETER",
    "PACKAGE_PARAMETER",
    "PLAN_PARAMETER",
    "STATUS_NAMES",
    "VERSION_PARAMETER",
    "Alarm",
    "DataPlane",
    "DeadlineTimer",
    "Link",
    "ModelRepository",
    "Statistics",
    "TierClient",
    "TierResponse",
    "TierServer",
    "Upstreams",
]
