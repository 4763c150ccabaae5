"""What a link is like: its bandwidth, delay and jitter, and the sizes that follow from them."""

import math
from dataclasses import dataclass

from splitnet.errors import InvalidArgumentError

READ_BYTES = 64 * 1024
"""The most that is read from a socket, or serialised, in one piece."""

_CHUNK_S = 0.003  # two connections take turns this often, as packets would
_CHUNK_MIN_BYTES = 256
_QUEUE_S = 0.2  # what a home router or a modem holds in front of a slow link
_QUEUE_MAX_BYTES = 8 << 20
_WINDOW_MIN_BYTES = 64 * 1024
_UNSHAPED_WINDOW_BYTES = 256 * 1024
_DELAY_ONLY_WINDOW_BYTES = 16 << 20  # 3.4 Gbit/s at 40 ms


@dataclass(frozen=True, slots=True)
class LinkShape:
    """Bandwidth, delay and jitter of a link, the same in both directions.

    Attributes:
        bandwidth_bps: Bits a second in each direction; None for no limit.
        delay_s: One-way delay, after the last bit has been serialised.
        jitter_s: Each piece is delayed by `delay_s` plus or minus up to this much, uniformly; order is kept.

    Raises:
        InvalidArgumentError: A number is negative or not finite, the bandwidth is zero, or the jitter is
            larger than the delay.
    """

    bandwidth_bps: float | None = None
    delay_s: float = 0.0
    jitter_s: float = 0.0

    def __post_init__(self) -> None:
        bandwidth = self.bandwidth_bps
        if bandwidth is not None and not (math.isfinite(bandwidth) and bandwidth > 0):
            raise InvalidArgumentError(f"the bandwidth must be above 0 bits a second, not {bandwidth:g}")
        for name, value in (("delay", self.delay_s), ("jitter", self.jitter_s)):
            if not (math.isfinite(value) and value >= 0):
                raise InvalidArgumentError(f"the {name} must be 0 seconds or more, not {value:g}")
        if self.jitter_s > self.delay_s:
            raise InvalidArgumentError(
                f"the jitter ({self.jitter_s:g} s) must not be larger than the delay ({self.delay_s:g} s)"
            )

    def serialization_s(self, size_bytes: int) -> float:
        """Return the time that `size_bytes` occupy the link."""
        return 0.0 if self.bandwidth_bps is None else 8.0 * size_bytes / self.bandwidth_bps

    def transfer_s(self, size_bytes: int) -> float:
        """Return when the last of `size_bytes` offered at time 0 to an idle link arrives, without jitter."""
        return self.serialization_s(size_bytes) + self.delay_s

    @property
    def chunk_bytes(self) -> int:
        """The piece in which bytes are serialised: 3 ms of the bandwidth, 256 bytes to 64 KiB."""
        if self.bandwidth_bps is None:
            return READ_BYTES
        return max(_CHUNK_MIN_BYTES, min(READ_BYTES, int(self.bandwidth_bps * _CHUNK_S / 8)))

    @property
    def window_bytes(self) -> int:
        """The most that one connection may have under way in one direction; beyond it reading stops.

        The bandwidth-delay product plus a queue of 200 ms (8 MiB at most), at least 64 KiB. Without a
        bandwidth it is 16 MiB, or 256 KiB when there is no delay either.
        """
        if self.bandwidth_bps is None:
            return _DELAY_ONLY_WINDOW_BYTES if self.delay_s > 0 else _UNSHAPED_WINDOW_BYTES
        in_flight = self.bandwidth_bps * (self.delay_s + self.jitter_s) / 8
        queued = min(_QUEUE_MAX_BYTES, self.bandwidth_bps * _QUEUE_S / 8)
        return max(_WINDOW_MIN_BYTES, int(in_flight + queued))
