"""A user-space TCP link with a chosen bandwidth, delay and jitter, for tests, demos and benchmarks."""

from splitnet.emulate.precise_loop import new_event_loop
from splitnet.emulate.proxy import LinkStats, Proxy
from splitnet.emulate.shape import LinkShape
from splitnet.emulate.shaped_link import ShapedLink

__all__ = ["LinkShape", "LinkStats", "Proxy", "ShapedLink", "new_event_loop"]
