"""A serving tier as a program: load, warm, listen, say so, and end in order on a signal."""

import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType

from splitnet.config import CacheConfig, CloudConfig, check_links, format_address
from splitnet.link import TierServer
from splitnet.link.access import access_of
from splitnet.link.serving.statistics import Statistics
from splitnet.link.tls import server_credentials
from splitnet.package import open_package
from splitnet.runtime import BoundedExecutor, settle
from splitnet.telemetry import Events, Listeners
from splitnet.tier.build import VersionBuilder
from splitnet.tier.dataplane import TierDataPlane
from splitnet.tier.folder import PackageFolder
from splitnet.tier.loading import Loader
from splitnet.tier.uplink import Uplink
from splitnet.tier.versions import Versions
from splitnet.tiers import Tier

logger = logging.getLogger(__name__)

# After the grace, what is left to a segment that runs: its caller is gone.
_LAST_SEGMENT_S = 0.5

OnListening = Callable[[str], None]


class ServingTier:
    """The edge or the cloud: the versions that it has loaded behind a server, over one executor."""

    def __init__(
        self,
        tier: Tier,
        config: CloudConfig,
        uplink: Uplink | None = None,
        *,
        cache: CacheConfig | None = None,
        events: Events = Events(),  # noqa: B008  (it holds nothing)
    ) -> None:
        """Load and warm the package's segments and bind the address.

        Args:
            tier: "edge" or "cloud".
            config: the package, limits and the address.
            uplink: the way to the tier above, None where there is none.
            cache: the latest answers, which are given again; None keeps none.
            events: told of requests, runs of segments, the queue and kept answers.

        Raises:
            NotFoundError: there is no package.
            PackageError: a segment is missing or altered, or the package is not signed as it must be.
            ModelError: onnxruntime refuses a segment.
            ConfigError: the address cannot be bound or must not be without TLS, a certificate cannot be used, or
                what a wire's coding needs is not installed.
        """
        check_links(config.listen, None, tls=config.tls, plaintext=config.plaintext)
        self._tier: Tier = tier
        self._config = config
        self._statistics = Statistics()
        self._events = Listeners([events, self._statistics])
        self._credentials = server_credentials(config.tls) if config.tls is not None else None
        package = open_package(config.package, config.package_key)
        self._name = package.manifest.model.name
        self._executor = BoundedExecutor(
            workers=config.workers, limit=config.queue_limit, name=tier, events=self._events
        )
        self._builder = VersionBuilder(tier, config, self._executor, uplink, events=self._events)
        try:
            versions = Versions(self._builder.first(package))
            self._dataplane = TierDataPlane(
                versions, config=config, tier=tier, cache=cache or CacheConfig(entries=0), events=self._events
            )
            self._server = self._bound(versions)
        except BaseException:
            self._executor.close(timeout_s=_LAST_SEGMENT_S)
            raise

    @property
    def address(self) -> tuple[str, int]:
        """Host and port as bound."""
        return self._server.address

    def start(self) -> None:
        """Take requests."""
        self._server.start()
        logger.info("%s serves %s on %s", self._tier, self._name, format_address(self.address))

    def stop(self) -> None:
        """Finish what is in flight, within the configured grace, and stop.

        A segment that is still running then is waited for another half second at most, and logged: its
        thread is a daemon, which does not keep the process from its end.
        """
        self._dataplane.drain()
        self._server.stop(self._config.grace_s)
        self._builder.close()
        self._executor.close(drop=True, timeout_s=_LAST_SEGMENT_S)

    def _bound(self, versions: Versions) -> TierServer:
        config = self._config
        folder = PackageFolder(config.repository or config.package.parent, self._name, key=config.package_key)
        return TierServer(
            self._dataplane,
            Loader(folder, versions, self._builder.successor, may_change=config.may_load),
            listen=config.listen,
            max_message_bytes=config.max_message_bytes,
            default_deadline_ms=config.deadline_ms,
            max_streams=config.max_streams,
            max_in_flight=config.queue_limit,
            tier=self._tier,
            quota=config.quota,
            credentials=self._credentials,
            access=access_of(config),
            events=self._events,
            statistics=self._statistics,
        )


def run_until_signalled(tier: ServingTier, on_listening: OnListening) -> None:
    """Serve until SIGTERM or SIGINT, then end in order; call from the main thread.

    Args:
        tier: the loaded tier.
        on_listening: called with HOST:PORT once requests are taken.
    """
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    previous = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        settle()
        tier.start()
        on_listening(format_address(tier.address))
        ended.wait()
    finally:
        tier.stop()
        for number, handler in previous.items():
            signal.signal(number, handler)
