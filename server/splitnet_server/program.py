"""The cloud program: the last tier, which answers whatever reaches it."""

from splitnet.config import CloudConfig
from splitnet.tier import OnListening, ServingTier, run_until_signalled
from splitnet.tier.telling import telling


def run(config: CloudConfig, on_listening: OnListening) -> None:
    """Serve a package's last segment, and the whole model, until SIGTERM or SIGINT.

    Args:
        config: the package, the address and the limits.
        on_listening: called with HOST:PORT once requests are taken.

    Raises:
        SplitNetError: the package cannot be served, or an address not bound.
    """
    with telling("cloud", config) as events:
        run_until_signalled(ServingTier("cloud", config, events=events), on_listening)
