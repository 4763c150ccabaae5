"""How fast the tiers are now and how long requests wait there, from what answers say."""

import math
from collections import deque
from collections.abc import Collection, Mapping

from splitnet.package import PlanEntry
from splitnet.tiers import Tier

# Of so many runs at a tier, the faster ones tell how fast its machine is: whatever disturbs a run makes it longer.
# And it does so by a time, not by a share, so that short segments tell less.
_RUNS = 16
_FASTER_SHARE = 0.25
_DISTURBED_MS = 1.0
_MOST_SLOWNESS = 20.0
# Of a queue, the newest answer counts so much.
_NEWEST = 0.2
# What was seen of a tier is believed ever less while it is not asked: else a moment of overload would be for good.
_BELIEVED_S = 10.0


class TierEstimates:
    """What the tiers of a plan take; time is passed in, seconds of one clock that never goes back."""

    def __init__(self) -> None:
        """Know nothing: every tier is as it was planned for."""
        self._runs: dict[Tier, deque[float]] = {}
        self._fastest: dict[Tier, float] = {}
        self._queue_ms: dict[Tier, float] = {}
        self._heard_s: dict[Tier, float] = {}

    def answered(
        self,
        plan: PlanEntry,
        now_s: float,
        *,
        reached: Mapping[Tier, int],
        compute_ms: Mapping[str, float],
        queue_ms: Mapping[str, float],
    ) -> None:
        """Learn from an answer by `plan` (see `PlanChooser.answered`)."""
        for stage in plan.stages:
            expected_ms = stage.compute_ms * reached.get(stage.tier, 0)
            if stage.tier in compute_ms and expected_ms:
                self._heard_s[stage.tier] = now_s
                self._note_run(stage.tier, compute_ms[stage.tier], expected_ms)
            if stage.tier in queue_ms and stage.tier != "device":  # its own requests wait there for each other
                self._heard_s[stage.tier] = now_s
                before_ms = self._queue_ms.get(stage.tier, 0.0)
                self._queue_ms[stage.tier] = before_ms + _NEWEST * (queue_ms[stage.tier] - before_ms)

    def slowness(self, now_s: float) -> dict[Tier, float]:
        """Return, by tier, the time of its segments over what the package says; others are as planned."""
        return {
            tier: self._fastest[tier] + self._belief(tier, now_s) * (_faster(runs) - self._fastest[tier])
            for tier, runs in self._runs.items()
        }

    def queue_ms(self, now_s: float) -> dict[Tier, float]:
        """Return, by tier above the device, how long a request waits there to be computed."""
        return {tier: self._belief(tier, now_s) * waits_ms for tier, waits_ms in self._queue_ms.items()}

    def _note_run(self, tier: Tier, took_ms: float, expected_ms: float) -> None:
        slowness = (took_ms + _DISTURBED_MS) / (expected_ms + _DISTURBED_MS)
        runs = self._runs.setdefault(tier, deque(maxlen=_RUNS))
        runs.append(min(max(slowness, 1 / _MOST_SLOWNESS), _MOST_SLOWNESS))
        self._fastest[tier] = min(self._fastest.get(tier, math.inf), _faster(runs))

    def _belief(self, tier: Tier, now_s: float) -> float:
        """How much what was seen of a tier still counts, 0 to 1."""
        return math.exp(min(0.0, self._heard_s[tier] - now_s) / _BELIEVED_S)


def _faster(runs: Collection[float]) -> float:
    """The quarter that was fastest: what all its runs took at most."""
    return sorted(runs)[int(_FASTER_SHARE * len(runs))]
