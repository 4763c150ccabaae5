"""A tier's way up, whichever version of the package it runs: one link, opened when a plan first needs it."""

import threading

from splitnet.config import DeviceConfig, EdgeConfig
from splitnet.errors import UnavailableError
from splitnet.link import StreamClient
from splitnet.package import Manifest
from splitnet.tier.forward import Upstream
from splitnet.tiers import Tier


class Uplink:
    """The link to the tier above, which all versions share."""

    def __init__(self, tier: Tier, config: EdgeConfig | DeviceConfig) -> None:
        """Take note of the way; nothing is opened yet.

        Args:
            tier: the tier below the link, "device" or "edge".
            config: the address above, if any, and the limits.
        """
        self._tier = tier
        self._config = config
        self._lock = threading.Lock()
        self._link: StreamClient | None = None
        self._closed = False

    def forward(self, manifest: Manifest) -> Upstream | None:
        """Return how the plan of `manifest` goes up; None where it ends here, or no tier above is configured.

        Raises:
            UnavailableError: the link is closed.
        """
        if self._config.upstream is None or manifest.plan.wire_from(self._tier) is None:
            return None
        return Upstream(self._opened(), manifest, self._tier, emulated_speed=self._config.emulated_speed)

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

    def _opened(self) -> StreamClient:
        with self._lock:
            if self._closed:
                raise UnavailableError("the link to the tier above is closed")
            if self._link is None:
                assert self._config.upstream is not None
                self._link = StreamClient(
                    self._config.upstream,
                    max_message_bytes=self._config.max_message_bytes,
                    window=self._config.window,
                )
            return self._link
