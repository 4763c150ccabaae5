"""The cloud program: the last tier, which answers whatever reaches it."""

from splitnet.config import CloudConfig
from splitnet.tier import OnListening, ServingTier, run_until_signalled


def run(config: CloudConfig, on_listening: OnListening) -> None:
    """Serve a package's last segment, and the whole model, until SIGTERM or SIGINT.

    Args:
        config: the package, the address and the limits.
        on_listening: called with HOST:PORT once requests are taken.

    Raises:
        SplitNetError: the package cannot be served, or the address not bound.
    """
    run_until_signalled(ServingTier("cloud", config), on_listening)
