"""The edge program: answers its site's devices, and asks the cloud for what it is not sure of."""

from contextlib import closing

from splitnet.config import EdgeConfig
from splitnet.link import StreamClient
from splitnet.package import open_package
from splitnet.tier import OnListening, ServingTier, Upstream, run_until_signalled


def run(config: EdgeConfig, on_listening: OnListening) -> None:
    """Serve a package's edge segment, and the whole model, until SIGTERM or SIGINT.

    Args:
        config: the package, the addresses and the limits; without `upstream` the edge answers alone,
            from its own exit where the plan goes on to the cloud.
        on_listening: called with HOST:PORT once requests are taken.

    Raises:
        SplitNetError: the package cannot be served, or the address not bound.
    """
    package = open_package(config.package)
    if config.upstream is None or package.manifest.plan.wire_from("edge") is None:
        run_until_signalled(ServingTier(package, "edge", config, forward=None), on_listening)
        return
    link = StreamClient(config.upstream, max_message_bytes=config.max_message_bytes, window=config.window)
    with closing(link):
        upstream = Upstream(link, package.manifest, "edge", emulated_speed=config.emulated_speed)
        run_until_signalled(ServingTier(package, "edge", config, forward=upstream), on_listening)
