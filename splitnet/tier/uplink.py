"""A tier's way up, whichever version and plan of the package it runs: one link, opened when a plan needs it."""

import threading
from functools import partial

from splitnet.config import DeviceConfig, EdgeConfig, check_links
from splitnet.errors import UnavailableError
from splitnet.link import DeadlineTimer, Link, Upstreams
from splitnet.link.tls import client_credentials, diagnose
from splitnet.package import Manifest, PlanEntry
from splitnet.telemetry import Events
from splitnet.tier.forward import Upstream
from splitnet.tiers import Tier


class Uplink:
    """The link to the tier above, which all versions and plans share."""

    def __init__(
        self,
        tier: Tier,
        config: EdgeConfig | DeviceConfig,
        *,
        events: Events = Events(),  # noqa: B008  (it holds nothing)
        timer: DeadlineTimer | None = None,
    ) -> None:
        """Take note of the way; nothing is opened yet.

        Args:
            tier: the tier below the link, "device" or "edge".
            config: the addresses above, if any, the certificate and the limits.
            events: told of exchanges, retries, breakers and links.
            timer: the clock of deadlines, which whoever gave it closes; None makes one.

        Raises:
            ConfigError: an address is beyond this machine, and neither a certificate nor plaintext is configured.
        """
        check_links(None, config.upstream, tls=config.tls, plaintext=config.plaintext)
        self._tier = tier
        self._config = config
        self._events = events
        self._timer = timer
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._closed = False

    def forward(self, manifest: Manifest, plan: PlanEntry | None = None) -> Upstream | None:
        """Return how `plan`, the default one of `manifest`, goes up.

        None where it ends here, or no tier above is configured.

        Raises:
            UnavailableError: the link is closed.
            ConfigError: this machine's certificate cannot be used.
        """
        plan = plan if plan is not None else manifest.plan
        if self._config.upstream is None or plan.wire_from(self._tier) is None:
            return None
        speed = self._config.emulated_speed
        return Upstream(self._opened(), manifest, self._tier, plan=plan, emulated_speed=speed)

    def wait_until_known(self, timeout_s: float) -> bool:
        """Wait for the end of the first attempt to connect, at most `timeout_s`; return whether the link is up."""
        return self._link is not None and self._link.wait_until_known(timeout_s)

    @property
    def connected(self) -> bool:
        """Whether the link is up."""
        return self._link is not None and self._link.connected

    def close(self) -> None:
        """Fail what is in flight and close the link."""
        with self._lock:
            self._closed = True
            link = self._link
        if link is not None:
            link.close()

    def _opened(self) -> Link:
        with self._lock:
            if self._closed:
                raise UnavailableError("the link to the tier above is closed")
            if self._link is None:
                self._link = self._made()
            return self._link

    def _made(self) -> Link:
        config, tls = self._config, self._config.tls
        assert config.upstream is not None
        return Upstreams(
            config.upstream,
            max_message_bytes=config.max_message_bytes,
            window=config.window,
            settings=config.link,
            credentials=partial(client_credentials, tls) if tls is not None else None,
            tls_name=tls.upstream_name if tls is not None else None,
            diagnose=partial(diagnose, tls),
            events=self._events,
            timer=self._timer,
        )
