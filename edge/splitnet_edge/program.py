"""The edge program: answers its site's devices, and asks the cloud for what it is not sure of."""

from contextlib import closing

from splitnet.config import EdgeConfig
from splitnet.tier import OnListening, ServingTier, Uplink, run_until_signalled


def run(config: EdgeConfig, on_listening: OnListening) -> None:
    """Serve a package's edge segment, and the whole model, until SIGTERM or SIGINT.

    Args:
        config: the package, the addresses and the limits; without `upstream` the edge answers alone,
            from its own exit where the plan goes on to the cloud.
        on_listening: called with HOST:PORT once requests are taken.

    Raises:
        SplitNetError: the package cannot be served, or the address not bound.
    """
    with closing(Uplink("edge", config)) as uplink:
        run_until_signalled(ServingTier("edge", config, uplink), on_listening)
