"""The edge program: answers its site's devices, and asks the cloud for what it is not sure of."""

from contextlib import closing

from splitnet.config import EdgeConfig
from splitnet.tier import OnListening, ServingTier, Uplink, run_until_signalled
from splitnet.tier.telling import telling


def run(config: EdgeConfig, on_listening: OnListening) -> None:
    """Serve a package's edge segment, and the whole model, until SIGTERM or SIGINT.

    Args:
        config: the package, the addresses and the limits; without `upstream` the edge answers alone,
            from its own exit where the plan goes on to the cloud.
        on_listening: called with HOST:PORT once requests are taken.

    Raises:
        SplitNetError: the package cannot be served, or an address not bound.
    """
    with telling("edge", config) as events, closing(Uplink("edge", config, events=events)) as uplink:
        tier = ServingTier("edge", config, uplink, cache=config.cache, events=events)
        run_until_signalled(tier, on_listening)
