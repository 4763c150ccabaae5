"""Who listens to a tier's events: the log always, Prometheus where the configuration says so."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from splitnet.config import TierConfig, format_address
from splitnet.telemetry import Events, Listeners, RequestLog
from splitnet.tiers import Tier

logger = logging.getLogger(__name__)


@contextmanager
def telling(tier: Tier, config: TierConfig) -> Iterator[Events]:
    """Yield what a tier is to tell its events to; its metrics are offered until the block is left.

    Raises:
        ConfigError: the address for metrics cannot be bound.
    """
    listeners: list[Events] = [RequestLog()]
    with ExitStack() as stack:
        if config.metrics is not None:
            from splitnet.telemetry.metrics import Metrics, serve_metrics  # noqa: PLC0415  (a device may do without)

            metrics = Metrics(tier)
            address = stack.enter_context(serve_metrics(metrics, config.metrics))
            logger.info("metrics of the %s: http://%s/metrics", tier, format_address(address))
            listeners.append(metrics)
        yield Listeners(listeners)
