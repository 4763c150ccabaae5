"""When a probe is worth sending: over a link that nothing else tells of, or that has fallen silent."""

import math
from collections.abc import Callable

from splitnet.adaptive.link_estimate import LinkEstimate

# A probe takes this long at the bandwidth that is believed: enough to tell, little to wait behind.
_PROBE_TAKES_S = 0.02
_LEAST_PROBE_BYTES, _MOST_PROBE_BYTES = 2_048, 262_144
#: A probe for the round trip alone, or for a sign of life.
PING_BYTES = 64
_PING_EVERY_S = 5.0
# And more often while its answer is to say whether a tier that was gone is back, before a request is lost on it.
_WAITING_EVERY_S = 1.0
# After a rise the next probe comes soon, since the last could not show all of it; only a rise that lasts is
# believed. A drop is believed at once: to send too much costs more than to compute too much.
_NEXT_PROBE_S = 0.05
_RISE_LASTS_S = 0.25
# On a new connection two probes will do: it is the one before that was slow, and time has been lost.
_NEW_RISE_LASTS_S = 0.1
# After a message without an answer, pings follow one another at once, so many in all: the breaker's five failures
# are then a matter of a second. A link that is not given up after these answers, but late.
_QUICK_PINGS = 8
# How long a probe's answer is waited for: times what it should take, and more; a ping, times the round trip.
PATIENCE, _PATIENCE_S, _MOST_PATIENCE_S = 4.0, 0.2, 1.0
_PING_PATIENCE = 2.0


class Probing:
    """The pace of one link's probes; pure: times are seconds of one clock that never goes back."""

    def __init__(self, every_s: float) -> None:
        """Begin with a link of which nothing is known.

        Args:
            every_s: the pause between probes; 0 never probes.
        """
        self._every_s = every_s
        self._pinged_s = self._probed_s = self._rose_s = -math.inf
        self._unanswered = 0
        self._silent_until_s = -math.inf
        self._is_new = False
        self._lasts_s = _RISE_LASTS_S

    @property
    def is_doubtful(self) -> bool:
        """Whether the last messages had no answer, and pings are finding out if the link is dead."""
        return bool(self._every_s) and 0 < self._unanswered < _QUICK_PINGS

    def heard(self, link: LinkEstimate, before_bps: float, now_s: float) -> None:
        """Note an answer, by which the bandwidth went from `before_bps` to what `link` says now."""
        self.assured()
        if link.moved_s == now_s:
            if link.bandwidth_bps < before_bps:
                self._rose_s = -math.inf
            elif not self.is_rising(now_s):
                self._rose_s = now_s
        elif not self.is_rising(now_s):
            self._lasts_s = _RISE_LASTS_S

    def assured(self) -> None:
        """Note that the link is not silent, or that pings cannot tell."""
        self._unanswered = 0

    def unanswered(self, silent_until_s: float) -> None:
        """Note that a message had no answer in time, which may still be on its way, before all that follows it.

        Args:
            silent_until_s: until when a link that is slower, not dead, may be silent for it.
        """
        self._unanswered += 1
        self._silent_until_s = max(self._silent_until_s, silent_until_s)

    def renewed(self) -> None:
        """Note a new connection, of which no message is without an answer, nor any bandwidth known."""
        self._unanswered, self._silent_until_s = 0, -math.inf
        self._is_new, self._lasts_s = True, _NEW_RISE_LASTS_S

    def is_rising(self, now_s: float) -> bool:
        """Whether a rise was seen just now, which may have been a burst, or only part of a larger one."""
        return now_s - self._rose_s < self._lasts_s

    def next_bytes(
        self, link: LinkEstimate, now_s: float, would_gain: Callable[[], bool], *, waits: bool = False
    ) -> int | None:
        """Return the bytes of a probe that is to be sent now; None for none.

        Args:
            link: as it is believed to be.
            now_s: the time.
            would_gain: whether it mattered if the link were faster.
            waits: whether a tier that is gone is waited for.
        """
        if not self._every_s:
            return None
        usual_s = _WAITING_EVERY_S if waits else _PING_EVERY_S
        if self.is_doubtful or now_s - self._pinged_s >= (usual_s if link.knows_rtt else self._every_s):
            self._pinged_s = now_s
            return PING_BYTES
        if not self._is_due(link, now_s) or not would_gain():
            return None
        self._probed_s, self._is_new = now_s, False
        nbytes = int(link.bandwidth_bps * _PROBE_TAKES_S / 8)
        return min(max(nbytes, _LEAST_PROBE_BYTES), _MOST_PROBE_BYTES)

    def patience_s(self, link: LinkEstimate, nbytes: float, now_s: float) -> float:
        """How long the answer to a probe of so many bytes, sent now, is waited for, seconds."""
        if self._unanswered >= _QUICK_PINGS:
            return _MOST_PATIENCE_S
        if self._unanswered:  # what silence seems to say of the bandwidth is not believed here
            behind_s = max(0.0, self._silent_until_s - now_s)
            return min(behind_s + _PING_PATIENCE * link.rtt_s + _PATIENCE_S, _MOST_PATIENCE_S)
        return min(PATIENCE * (link.rtt_s + link.carry_s(nbytes)) + _PATIENCE_S, _MOST_PATIENCE_S)

    def _is_due(self, link: LinkEstimate, now_s: float) -> bool:
        if self._is_new:
            return True
        if self.is_rising(now_s):
            return now_s - self._probed_s >= _NEXT_PROBE_S
        told_s = link.told_s if link.told_s is not None else -math.inf
        return now_s - max(told_s, self._probed_s) >= self._every_s
