"""Whether a tier is there at all, from how requests end: left after several failures, tried by single requests."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from splitnet.tiers import TIERS, Tier

# So many failures in a row, over so long: one late answer, or the requests that a lost connection takes along, are
# no absence.
_FAILURES, _FAILING_S = 3, 0.25
# A tier that is gone is tried so often, but by one request in so many at most: that one's answer is a fallback,
# where others have whole ones.
_PAUSE_S, _ONE_IN = 2.0, 20
# Of a tier that is gone again so soon after it was back, pauses double: it comes and goes, or answers some alone.
_STEADY_S, _MOST_PAUSE_S = 30.0, 60.0
# A trial whose end is not told by then, since an exception took it away, counts no longer.
_TRIAL_S = 60.0


@dataclass(frozen=True, slots=True)
class SampleEnd:
    """How one sample ended.

    Attributes:
        exit: who answered it, as in an Answer's `exits`; "" for nobody.
        reason: the status for which nobody did, or something stood in; "" for an answer as planned.
    """

    exit: str
    reason: str

    @property
    def blames_above(self) -> bool:
        """Whether a tier above was not there for it, although the link was.

        That nothing came in time may be the link's fault, unless the edge says so, whose stand-in did come.
        """
        return self.reason == "UNAVAILABLE" or (self.reason == "DEADLINE_EXCEEDED" and self.exit in TIERS[1:])


def deepest(ends: Iterable[SampleEnd]) -> Tier:
    """Return the deepest tier that answered one of the samples, be it as a stand-in; the device if none did."""
    return max((tier for each in ends for tier in TIERS if tier == each.exit), key=TIERS.index, default="device")


class Absence:
    """What is known of one tier; pure: times are seconds of one clock that never goes back.

    Attributes:
        is_gone: whether it is believed not to be there.
    """

    def __init__(self) -> None:
        """Begin with a tier that is there."""
        self.is_gone = False
        self._failures = 0
        self._failing_s = 0.0
        self._gone_s = 0.0
        self._back_s = -math.inf
        self._pause_s = _PAUSE_S
        self._due_s = 0.0
        self._passed = 0
        self._tried_s = -math.inf

    def failed(self, asked_s: float, now_s: float) -> None:
        """Note the end of a request that did not find the tier there.

        Args:
            asked_s: when it was made; what was made before the tier was gone is no news.
            now_s: when it ended.
        """
        if self.is_gone:
            if asked_s >= self._gone_s:
                self._wait(now_s)
            return
        if not self._failures:
            self._failing_s = now_s
        self._failures += 1
        if self._failures >= _FAILURES and now_s - self._failing_s >= _FAILING_S:
            again = now_s - self._back_s < _STEADY_S
            self._pause_s = min(2 * self._pause_s, _MOST_PAUSE_S) if again else _PAUSE_S
            self.is_gone, self._gone_s = True, now_s
            self._wait(now_s)

    def answered(self, asked_s: float, now_s: float) -> None:
        """Note the end of a request that the tier answered (see `failed`)."""
        if self.is_gone and asked_s < self._gone_s:
            return
        self._failures = 0
        if self.is_gone:
            self.is_gone, self._back_s = False, now_s

    def told_nothing(self, asked_s: float, now_s: float, *, well: bool) -> None:
        """Note the end of a request that says nothing of the tier (see `failed`).

        Args:
            asked_s: when it was made.
            now_s: when it ended.
            well: whether it ended as planned, without going that far: then the next one may find out at once. What
                ended otherwise was a trial all the same.
        """
        if self.is_gone and asked_s >= self._gone_s:
            if well:
                self._tried_s = -math.inf
            else:
                self._wait(now_s)

    def forget(self) -> None:
        """Believe that the tier is there: it may be another one now."""
        self.is_gone, self._failures = False, 0

    def passed(self) -> None:
        """Note that a request comes."""
        self._passed += 1

    def is_due(self, now_s: float) -> bool:
        """Whether the request that comes now may find out if the tier, which is gone, is back."""
        is_tried = now_s - self._tried_s < _TRIAL_S
        return not is_tried and now_s >= self._due_s and self._passed >= _ONE_IN

    def tried(self, now_s: float) -> None:
        """Note that this request does; until it has ended, or should have, no other one may."""
        self._tried_s = now_s

    def _wait(self, now_s: float) -> None:
        self._due_s, self._passed, self._tried_s = now_s + self._pause_s, 0, -math.inf
