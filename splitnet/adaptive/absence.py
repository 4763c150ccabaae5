"""Whether a tier is there at all, from how requests end: left after several failures, tried by single requests.

None is made to try it while the tier above the device says that it would be lost.
"""

import math
from collections.abc import Iterable, Sequence
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
# What the tier above says counts so long, and for so many requests at least: while it cannot be asked, requests
# are to find out again.
_SAID_S, _SAID_FOR = 3.0, 20
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
        self._is_denied = self._was_promised = False
        self._denied_s = -math.inf
        self._passed_since = 0

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
            self._is_denied = self._was_promised = False
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

    def said(self, now_s: float, *, there: bool) -> None:
        """Note whether the tier above the device says that a request would find this one there.

        The first time that it says so after it has said otherwise, the next request is to find out, once the pause
        is over: it will hardly be lost.
        """
        if there and self._is_denied and not self._was_promised:
            self._was_promised, self._passed = True, _ONE_IN
        self._is_denied, self._denied_s, self._passed_since = not there, now_s, 0

    def forget(self) -> None:
        """Believe that the tier is there: it may be another one now."""
        self.is_gone, self._failures = False, 0

    def passed(self) -> None:
        """Note that a request comes."""
        self._passed += 1
        self._passed_since += 1

    def is_due(self, now_s: float) -> bool:
        """Whether the request that comes now may find out if the tier, which is gone, is back."""
        is_tried = now_s - self._tried_s < _TRIAL_S
        is_fresh = now_s - self._denied_s < _SAID_S or self._passed_since < _SAID_FOR
        is_denied = self._is_denied and is_fresh
        return not (is_tried or is_denied) and now_s >= self._due_s and self._passed >= _ONE_IN

    def tried(self, now_s: float) -> None:
        """Note that this request does; until it has ended, or should have, no other one may."""
        self._tried_s = now_s

    def _wait(self, now_s: float) -> None:
        self._due_s, self._passed, self._tried_s = now_s + self._pause_s, 0, -math.inf


class Absences:
    """What is known of the tiers above the device; times as for `Absence`."""

    def __init__(self) -> None:
        """Begin with tiers that are there."""
        self._of: dict[Tier, Absence] = {tier: Absence() for tier in TIERS[1:]}

    def gone(self, needed: Iterable[Tier]) -> list[Absence]:
        """Return what is known of those of the tiers `needed` that are not there."""
        return [self._of[tier] for tier in needed if self._of[tier].is_gone]

    def ended(
        self, needed: Sequence[Tier], ends: Sequence[SampleEnd], *, is_up: bool, asked_s: float, now_s: float
    ) -> None:
        """Learn from the end of a request.

        Args:
            needed: the tiers that its plan goes on to, the deepest last.
            ends: how its samples ended, one or more.
            is_up: whether the link is.
            asked_s: when it was made.
            now_s: when it ended.
        """
        answered = TIERS[1 : TIERS.index(deepest(ends)) + 1]
        failed = is_up and any(each.blames_above for each in ends)
        well = not any(each.reason for each in ends)
        for tier in needed:
            absence = self._of[tier]
            if tier in answered:
                absence.answered(asked_s, now_s)
            elif failed and tier == needed[-1]:
                absence.failed(asked_s, now_s)
            else:
                absence.told_nothing(asked_s, now_s, well=well)

    def passed(self) -> None:
        """Note that a request comes."""
        for absence in self._of.values():
            absence.passed()

    def tried(self, needed: Iterable[Tier], now_s: float) -> bool:
        """Whether the request that comes now is to find out if the tiers `needed` are back; if so, it does."""
        gone = self.gone(needed)
        is_due = all(absence.is_due(now_s) for absence in gone)
        if is_due:
            for absence in gone:
                absence.tried(now_s)
        return is_due

    def said(self, needed: Sequence[Tier], now_s: float, *, there: bool) -> None:
        """Note whether the tier above says that a request would find all tiers `needed` there.

        It is the deepest of them that may not be, behind the one that says so.
        """
        absence = self._of[needed[-1]]
        if absence.is_gone:
            absence.said(now_s, there=there)

    def forget(self) -> None:
        """Believe that all are there: they may be others now."""
        for absence in self._of.values():
            absence.forget()
