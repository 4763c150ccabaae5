"""Links between tiers: a gRPC stream to the tier above, a server for the tiers below."""

from splitnet.link.dataplane import DataPlane
from splitnet.link.server import TierServer
from splitnet.link.service import DEADLINE_PARAMETER
from splitnet.link.status import STATUS_NAMES
from splitnet.link.stream import StreamClient

__all__ = ["DEADLINE_PARAMETER", "STATUS_NAMES", "DataPlane", "StreamClient", "TierServer"]
