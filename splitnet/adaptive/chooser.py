"""Choosing the plan to run: predicted for the link and the tiers as they are seen, changed with hysteresis."""

import itertools
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from splitnet.adaptive.link_estimate import LinkEstimate
from splitnet.adaptive.prediction import MESSAGE_BYTES, Conditions, predict
from splitnet.adaptive.tier_estimates import TierEstimates
from splitnet.config import AdaptiveConfig
from splitnet.package import LinkEntry, Manifest, PlanEntry
from splitnet.telemetry import Exchange
from splitnet.tiers import Tier

# How fast what a device sees of load and tiers is believed: a mean over about so many seconds, or answers.
_LOAD_S = 1.0
_NEWEST = 0.2
# A device of which nobody asks anything has nothing to find out.
_ASKED_S = 2.0
# A probe takes this long at the bandwidth that is believed: enough to tell, little to wait behind.
_PROBE_TAKES_S = 0.02
_LEAST_PROBE_BYTES, _MOST_PROBE_BYTES = 2_048, 262_144
#: A probe for the round trip alone.
PING_BYTES = 64
_PING_EVERY_S = 5.0
# After a rise the next probe comes soon, since the last could not show all of it; only a rise that lasts is
# believed. A drop is believed at once: to send too much costs more than to compute too much.
_NEXT_PROBE_S = 0.05
_RISE_LASTS_S = 0.25
# So much faster a link is imagined, or as fast as it ever was, to see whether any plan would gain by it.
_HOPED_FOR = 16.0


@dataclass(frozen=True, slots=True)
class _Sent:
    plan: PlanEntry | None
    nbytes: float
    sent_s: float


class PlanChooser:
    """Names the plan to run; pure: no threads, no I/O. Times are seconds of one clock that never goes back.

    Attributes:
        current: id of the plan to run.
    """

    def __init__(self, manifest: Manifest, plans: Collection[str], config: AdaptiveConfig) -> None:
        """Begin with the package's default plan.

        Args:
            manifest: of the package.
            plans: ids of those that this device can run; the default one among them.
            config: margin, hold time and probes.
        """
        self._plans = {plan.id: plan for plan in manifest.plans if plan.id in plans}
        self._config = config
        self.current = manifest.plan.id
        self._ready = {self.current} | {plan.id for plan in self._plans.values() if not plan.wires}
        self._planned = manifest.links
        self.link = LinkEstimate(manifest.links[0])
        self._tiers = TierEstimates()
        self._load, self._samples = 1.0, 1.0
        self._is_up = True
        self._asked_s = self._switched_s = self._pinged_s = self._probed_s = self._rose_s = -math.inf
        self._sent: dict[int, _Sent] = {}
        self._tickets = itertools.count()

    def set_ready(self, plan: str, *, ready: bool) -> None:
        """Note whether the tier above answers for a plan now."""
        (self._ready.add if ready else self._ready.discard)(plan)

    def set_link(self, *, up: bool) -> None:
        """Note whether the tier above is reached at all."""
        self._is_up = up

    def sent(self, plan: str, samples: int, now_s: float) -> int:
        """Note that a request goes up, and return the ticket to end it with."""
        entry = self._plans[plan]
        return self._enter(_Sent(entry, entry.wires[0].sample_bytes * samples + MESSAGE_BYTES, now_s))

    def sent_probe(self, nbytes: int, now_s: float) -> int:
        """Note that a probe goes up, and return the ticket to end it with."""
        return self._enter(_Sent(None, nbytes + MESSAGE_BYTES, now_s))

    def returned(self, ticket: int, now_s: float) -> None:
        """Note that what went up is over, whatever its end; what took too long tells something of the link."""
        self._look_at_overdue(now_s)
        self._sent.pop(ticket, None)

    def observe(self, exchange: Exchange, now_s: float) -> None:
        """Learn from a message to the tier above and its answer, a probe's among them."""
        remote_s = self._remote_s(self._plans[self.current]) if exchange.remote_s is None else exchange.remote_s
        before_bps = self.link.bandwidth_bps
        self.link.observe(exchange, remote_s, now_s)
        if self.link.moved_s == now_s:
            if self.link.bandwidth_bps < before_bps:
                self._rose_s = -math.inf
            elif not self._is_rising(now_s):
                self._rose_s = now_s

    def answered(
        self,
        plan: str,
        *,
        reached: Mapping[Tier, int],
        compute_ms: Mapping[str, float],
        queue_ms: Mapping[str, float],
    ) -> None:
        """Learn from an answer what the tiers take.

        Args:
            plan: by which it was made.
            reached: how many samples of the request got to each tier.
            compute_ms: of the request at each tier, as far as they say.
            queue_ms: how long it waited at each.
        """
        self._tiers.answered(
            self._plans[plan], self._asked_s, reached=reached, compute_ms=compute_ms, queue_ms=queue_ms
        )

    def choose(self, now_s: float, *, in_flight: int = 1, samples: int = 1) -> str:
        """Return the plan for a request that comes now.

        Args:
            now_s: the time.
            in_flight: requests of the device that have no answer yet, this one among them.
            samples: in this request.
        """
        self._note_load(now_s, in_flight, samples)
        self._look_at_overdue(now_s)
        conditions = self._conditions()
        values = {plan: self._value(self._plans[plan], conditions) for plan in self._candidates()}
        if self.current not in values:
            self._switch(min(values, key=values.__getitem__), now_s)
            return self.current
        best = min(values, key=values.__getitem__)
        is_better = values[best] < values[self.current] * (1 - self._config.margin)
        held = now_s - self._switched_s >= self._config.hold_s
        waits = self._is_rising(now_s) and self._sends(best) > self._sends(self.current)
        if is_better and (held or values[self.current] == math.inf) and not waits:
            self._switch(best, now_s)
        return self.current

    def probe(self, now_s: float) -> int | None:
        """Return the bytes of a probe that is worth sending now; None where none is.

        Nothing may be under way, requests must come, and the bandwidth matter: on a faster link another plan would
        run, and what is sent anyway does not show whether it is one.
        """
        every_s, candidates = self._config.probe_s, self._candidates()
        if not every_s or self._sent or not self._is_up or now_s - self._asked_s > _ASKED_S or len(candidates) < 2:
            return None
        if now_s - self._pinged_s >= (_PING_EVERY_S if self.link.knows_rtt else every_s):
            self._pinged_s = now_s
            return PING_BYTES
        if not self._is_due(now_s) or not self._would_gain(candidates):
            return None
        self._probed_s = now_s
        nbytes = int(self.link.bandwidth_bps * _PROBE_TAKES_S / 8)
        return min(max(nbytes, _LEAST_PROBE_BYTES), _MOST_PROBE_BYTES)

    def _is_due(self, now_s: float) -> bool:
        told_s = self.link.told_s if self.link.told_s is not None else -math.inf
        if self._is_rising(now_s):
            return now_s - self._probed_s >= _NEXT_PROBE_S
        return now_s - max(told_s, self._probed_s) >= self._config.probe_s

    def _is_rising(self, now_s: float) -> bool:
        """Whether a rise was seen just now, which may have been a burst, or only part of a larger one."""
        return now_s - self._rose_s < _RISE_LASTS_S

    def _sends(self, plan: str) -> float:
        return sum(wire.sample_bytes for wire in self._plans[plan].wires[:1])

    def _would_gain(self, candidates: Collection[str]) -> bool:
        now = self._conditions()
        bandwidth_bps = max(self.link.bandwidth_bps * _HOPED_FOR, self.link.fastest_bps)
        fast = now.links[0].model_copy(update={"bandwidth_bps": bandwidth_bps})
        hoped_for = replace(now, links=(fast, now.links[1]))
        return min(candidates, key=lambda plan: self._value(self._plans[plan], hoped_for)) != self.current

    def _candidates(self) -> list[str]:
        return [plan for plan in self._plans if plan in self._ready] or [self.current]

    def _conditions(self) -> Conditions:
        # Not validated again: this is done for every request.
        link = LinkEntry.model_construct(bandwidth_bps=self.link.bandwidth_bps, rtt_ms=self.link.rtt_s * 1e3)
        return Conditions(
            links=(link, self._planned[1]),
            slowness=self._tiers.slowness(self._asked_s),
            queue_ms=self._tiers.queue_ms(self._asked_s),
            samples=self._samples,
            in_flight=self._load,
            is_up=self._is_up,
        )

    def _value(self, plan: PlanEntry, conditions: Conditions) -> float:
        """What the plan was made for, ms; of energy and bytes, the link's bandwidth changes nothing."""
        if plan.objective in ("energy", "bytes"):
            return 0.0 if plan.id == self.current else 1.0
        predicted = predict(plan, conditions)
        return predicted.slowest_ms if plan.objective == "throughput" else predicted.latency_ms

    def _remote_s(self, plan: PlanEntry | None) -> float:
        return predict(plan, self._conditions()).remote_ms / 1e3 if plan is not None else 0.0

    def _look_at_overdue(self, now_s: float) -> None:
        if self._sent:
            oldest = next(iter(self._sent.values()))
            self.link.overdue(oldest.nbytes, oldest.sent_s, self._remote_s(oldest.plan), now_s)

    def _note_load(self, now_s: float, in_flight: int, samples: int) -> None:
        passed_s = min(now_s - self._asked_s, 1e3)
        newest = 1 - math.exp(-passed_s / _LOAD_S)
        self._load += newest * (in_flight - self._load)
        self._samples += _NEWEST * (samples - self._samples)
        self._asked_s = now_s

    def _enter(self, sent: _Sent) -> int:
        ticket = next(self._tickets)
        self._sent[ticket] = sent
        return ticket

    def _switch(self, plan: str, now_s: float) -> None:
        self.current = plan
        self._switched_s = now_s
