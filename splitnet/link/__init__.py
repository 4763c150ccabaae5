"""Links between tiers: a gRPC stream to the tier above, a server for the tiers below."""

from splitnet.link.calls import TierClient
from splitnet.link.dataplane import (
    PACKAGE_PARAMETER,
    PLAN_PARAMETER,
    VERSION_PARAMETER,
    DataPlane,
    ModelRepository,
)
from splitnet.link.server import TierServer
from splitnet.link.service import DEADLINE_PARAMETER
from splitnet.link.status import STATUS_NAMES
from splitnet.link.stream import StreamClient

__all__ = [
    "DEADLINE_PARAMETER",
    "PACKAGE_PARAMETER",
    "PLAN_PARAMETER",
    "STATUS_NAMES",
    "VERSION_PARAMETER",
    "DataPlane",
    "ModelRepository",
    "StreamClient",
    "TierClient",
    "TierServer",
]
