"""What a link carries now, from the messages that went over it: bandwidth and round trip.

A message of b bytes is taken to need rtt + 8 b / bandwidth, after those before it have passed. Ordinary changes
are averaged; one message that is slower or faster than that by far moves the bandwidth at once.
"""

import math
from collections import deque
from dataclasses import dataclass
from statistics import median

from splitnet.package import LinkEntry
from splitnet.telemetry import Exchange

# What software and scheduling add to a message now and then, seconds: below that, times say nothing of bandwidth.
_LEAST_NOISE_S = 1e-3
_NOISE_SHARE_OF_RTT = 0.1

# A message that needs so many times what it should, and so many seconds more, shows a drop by itself; an earlier
# look at one that is still under way has to show more. Where messages often come late, it takes twice as much
# as what happened three times among the last ones.
_DROP, _DROP_S = 4.0, 0.02
_OVERDUE, _OVERDUE_S = 4.0, 0.1
_USUAL, _LATE_TIMES, _LATENESS = 2.0, 3, 16
# Who waits for a message that is overdue sees the most that the link can carry: on average half of that.
_OVERDUE_IS_HALF_WAY = 0.5
# Faster than expected by this, a rise: below it, the average finds out.
_RISE = 0.5

# Weight of a message that lasts long enough to say anything.
_WEIGHT = 0.3
_WEIGHT_SUSPECT = 0.5
# A message is worth its weight from so many times the noise on.
_TELLING = 4.0

# Messages up to this size show the round trip, and the shortest of so many is it.
_SMALL_BYTES = 1024
_ROUND_TRIPS = 12

# Messages right behind one another whose times are evened out.
_CHAIN = 4
_TINY_S = 1e-9

_RECENT = 256
_SLOWEST_BPS, _FASTEST_BPS = 1e4, 1e11


@dataclass(frozen=True, slots=True)
class _Past:
    """A message that went over the link: when it was sent and answered, and when the link was at it."""

    sent_s: float
    answered_s: float
    began_s: float
    passed_s: float
    nbytes: float


@dataclass(frozen=True, slots=True)
class _Trip:
    """A short message: how long it took, and the bandwidth that was believed then."""

    network_s: float
    nbytes: float
    bandwidth_bps: float


class LinkEstimate:
    """Bandwidth and round trip of one link; time is passed in, seconds of any clock that never goes back.

    Attributes:
        bandwidth_bps: as estimated, bit/s.
        told_s: when a message last said something about the bandwidth; None before the first.
        moved_s: when one last moved it by much; None before the first.
        fastest_bps: that it was planned for, or was estimated at since.
    """

    def __init__(self, planned: LinkEntry) -> None:
        """Begin with the link as it was planned for."""
        self.bandwidth_bps = self.fastest_bps = planned.bandwidth_bps
        self.told_s: float | None = None
        self.moved_s: float | None = None
        self._rtt_s = planned.rtt_ms / 1e3
        self._trips: deque[_Trip] = deque(maxlen=_ROUND_TRIPS)
        self._past: deque[_Past] = deque(maxlen=_RECENT)
        self._late_s: deque[float] = deque(maxlen=_LATENESS)
        self._heard_bps = self.bandwidth_bps
        self._suspected_bps: float | None = None
        self._passed_s = -math.inf

    @property
    def rtt_s(self) -> float:
        """What a message and its answer take however short they are, seconds; processing left out."""
        return min(self._round_trips(), default=self._rtt_s)

    @property
    def knows_rtt(self) -> bool:
        """Whether the round trip was seen, and is not that of the plan."""
        return bool(self._trips)

    @property
    def noise_s(self) -> float:
        """What times may be off by, seconds: as much as round trips differ at least."""
        round_trips = self._round_trips() or [self._rtt_s]
        shortest_s = min(round_trips)
        return max(_LEAST_NOISE_S, _NOISE_SHARE_OF_RTT * shortest_s, median(round_trips) - shortest_s)

    def carry_s(self, nbytes: float) -> float:
        """How long the link needs for so many bytes by themselves, seconds."""
        return nbytes * 8 / self.bandwidth_bps

    def carried_s(self, nbytes: float) -> float:
        """How long it needed for so many when the last answer came: silence since may be that of a dead link."""
        return nbytes * 8 / self._heard_bps

    def tells(self, nbytes: float) -> bool:
        """Whether the time of a message of so many bytes says something of the bandwidth."""
        return self.carry_s(nbytes) >= _TELLING * self.noise_s

    def observe(self, exchange: Exchange, remote_s: float, now_s: float) -> None:
        """Learn from a message and its answer.

        Args:
            exchange: their bytes and seconds.
            remote_s: what of those the tier above took.
            now_s: when the answer came.
        """
        nbytes = exchange.sent_bytes + exchange.received_bytes
        sent_s, network_s = now_s - exchange.seconds, max(0.0, exchange.seconds - remote_s)
        if nbytes <= _SMALL_BYTES and not exchange.others:
            self._trips.append(_Trip(network_s, nbytes, self.bandwidth_bps))
        elif network_s < self.rtt_s:  # the round trip is this at most
            self._trips.append(_Trip(network_s, 0, self.bandwidth_bps))
        passed_s = now_s - remote_s - self.rtt_s
        before = [one for one in self._past if one.sent_s <= sent_s < one.answered_s]
        last = max(before, key=lambda one: one.passed_s, default=None)
        waited = last is not None and last.passed_s > sent_s
        began_s = last.passed_s if last is not None and waited else sent_s
        this = _Past(sent_s, now_s, began_s, passed_s, nbytes)
        self._passed_s = max(self._passed_s, passed_s)
        # With one before it still under way, or overtaken by one, what of the time is whose cannot be told.
        if len(before) >= exchange.others and (last is None or passed_s > last.passed_s):
            self._take(this, self._together(this) if waited else 1.0, now_s)
        if self.carry_s(nbytes) > network_s > 0:  # no link is faster than its bandwidth
            self._move(8 * nbytes / network_s, now_s)
        self._past.append(this)
        self._heard_bps = self.bandwidth_bps

    def overdue(self, nbytes: float, sent_s: float, remote_s: float, now_s: float) -> None:
        """Look at a message that has no answer yet: the longest under way, so that none is before it.

        Args:
            nbytes: of the message.
            sent_s: when it was sent.
            remote_s: how long the tier above is expected to take.
            now_s: when it is looked at.
        """
        waited_s = now_s - max(sent_s, self._passed_s) - self.rtt_s - remote_s
        expected_s = self.carry_s(nbytes)
        usual_s = max(_OVERDUE_S, self._often_late_s) + _OVERDUE * remote_s
        if waited_s > max(_OVERDUE * expected_s, expected_s + usual_s):
            self._move(_OVERDUE_IS_HALF_WAY * 8 * nbytes / waited_s, now_s)

    def _together(self, this: _Past) -> float:
        """The share of its time that a message took when it is shared out evenly with those right before it.

        A delay between the link and us makes a message look slow, and the one behind it fast by as much.
        """
        chain = [this]
        for one in reversed(self._past):
            if len(chain) == _CHAIN or one.passed_s != chain[-1].began_s:
                break
            chain.append(one)
        alone_s = this.passed_s - this.began_s
        together_s = this.passed_s - chain[-1].began_s
        return together_s * this.nbytes / sum(one.nbytes for one in chain) / max(alone_s, _TINY_S)

    def _take(self, this: _Past, evened: float, now_s: float) -> None:
        """Learn from a message that had the link to itself; `evened` is by what its time is to be multiplied."""
        nbytes, expected_s, noise_s = this.nbytes, self.carry_s(this.nbytes), self.noise_s
        alone_s = max(this.passed_s - this.began_s, _TINY_S)
        took_s = max(alone_s * evened, min(noise_s, expected_s))  # shorter times cannot be told apart
        slower, is_telling = took_s / expected_s, self.tells(nbytes)
        is_late = alone_s > _DROP * expected_s and alone_s - expected_s > max(_DROP_S, self._often_late_s)
        self._late_s.append(max(0.0, alone_s - expected_s))
        suspected_bps, self._suspected_bps = self._suspected_bps, 8 * nbytes / alone_s if is_late else None
        if is_late and is_telling:
            self._move(8 * nbytes / alone_s, now_s)
        elif is_late and suspected_bps is not None:  # a short message may just have come late, but not twice
            self._move(max(suspected_bps, 8 * nbytes / alone_s), now_s)
        elif slower < _RISE and is_telling:
            self._move(8 * nbytes / took_s, now_s)
        else:
            telling = min(1.0, expected_s / (_TELLING * noise_s))
            weight = telling**2 * (_WEIGHT_SUSPECT if slower > 1 / _RISE else _WEIGHT)
            off_s = took_s - expected_s
            if not is_telling:  # what noise may have done is left out
                off_s = math.copysign(max(0.0, abs(off_s) - noise_s), off_s)
            # Times are averaged, not bandwidths: what is wanted from this is the time of the next message.
            self._set(8 * nbytes / (expected_s + weight * off_s))
        if is_telling:
            self.told_s = now_s

    @property
    def _often_late_s(self) -> float:
        """Twice as late as messages are now and then, seconds."""
        late = sorted(self._late_s)
        return _USUAL * late[-_LATE_TIMES] if len(late) >= _LATE_TIMES else 0.0

    def _round_trips(self) -> list[float]:
        """What short messages took, less their bytes at the faster of the bandwidths then and now, seconds."""
        return [
            max(trip.network_s / 8, trip.network_s - 8 * trip.nbytes / max(trip.bandwidth_bps, self.bandwidth_bps))
            for trip in self._trips
        ]

    def _move(self, bandwidth_bps: float, now_s: float) -> None:
        self._set(bandwidth_bps)
        self.moved_s = self.told_s = now_s

    def _set(self, bandwidth_bps: float) -> None:
        self.bandwidth_bps = min(max(bandwidth_bps, _SLOWEST_BPS), _FASTEST_BPS)
        self.fastest_bps = max(self.fastest_bps, self.bandwidth_bps)
