"""Choosing the plan to run: predicted for the link and the tiers as they are seen, changed with hysteresis."""

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from splitnet.adaptive.absence import Absences, SampleEnd
from splitnet.adaptive.link_estimate import LinkEstimate
from splitnet.adaptive.prediction import Conditions, predict
from splitnet.adaptive.probing import PATIENCE, Probing
from splitnet.adaptive.tier_estimates import TierEstimates
from splitnet.config import AdaptiveConfig
from splitnet.package import MESSAGE_BYTES, LinkEntry, Manifest, PlanEntry
from splitnet.telemetry import Exchange
from splitnet.tiers import TIERS, Tier

# How fast what a device sees of load and tiers is believed: a mean over about so many seconds, or answers.
_LOAD_S = 1.0
_NEWEST = 0.2
# A device of which nobody asks anything has nothing to find out.
_ASKED_S = 2.0
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
        self._order = {name: index for index, name in enumerate(self._plans)}
        self._above: dict[str, tuple[Tier, ...]] = {
            name: tuple(stage.tier for stage in plan.stages[1:]) for name, plan in self._plans.items()
        }
        self._config = config
        self.current = manifest.plan.id
        self._ready = {self.current} | {plan.id for plan in self._plans.values() if not plan.wires}
        self._planned = manifest.links
        self.link = LinkEstimate(manifest.links[0])
        self._tiers = TierEstimates()
        self._absences = Absences()
        self._probing = Probing(config.probe_s)
        self._load, self._samples = 1.0, 1.0
        self._is_up = True
        self._asked_s = self._switched_s = -math.inf
        self._sent: dict[int, _Sent] = {}
        self._tickets = itertools.count()

    def set_ready(self, plan: str, *, ready: bool) -> None:
        """Note whether the tier above answers for a plan now."""
        (self._ready.add if ready else self._ready.discard)(plan)

    def set_link(self, *, up: bool) -> None:
        """Note whether the tier above is reached at all; when it is again, it may be another one, or anew."""
        if up and not self._is_up:
            self._probing.renewed()
            self._absences.forget()
        self._is_up = up

    def sent(self, plan: str, samples: int, now_s: float) -> int:
        """Note that a request goes up, and return the ticket to end it with."""
        entry = self._plans[plan]
        return self._enter(_Sent(entry, entry.wires[0].sample_bytes * samples + MESSAGE_BYTES, now_s))

    def sent_probe(self, nbytes: int, now_s: float) -> int:
        """Note that a probe goes up, and return the ticket to end it with."""
        return self._enter(_Sent(None, nbytes + MESSAGE_BYTES, now_s))

    def returned(self, ticket: int, now_s: float, *, unanswered: bool = False) -> None:
        """Note that what went up is over, whatever its end; what took too long tells something of the link.

        Args:
            ticket: of what went up.
            now_s: the time.
            unanswered: whether nothing came back in time.
        """
        self._look_at_overdue(now_s)
        sent = self._sent.pop(ticket, None)
        if unanswered and sent is not None:
            self._probing.unanswered(sent.sent_s + PATIENCE * (self.link.rtt_s + self.link.carried_s(sent.nbytes)))

    def unanswered(self) -> None:
        """Note that the tier above said nothing in time to a question beside the requests."""
        self._probing.unanswered(-math.inf)

    def refused(self) -> None:
        """Note that what went up was refused: somebody answered, or nobody can be asked in this way."""
        self._probing.assured()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way on the link."""
        return not self._sent

    def observe(self, exchange: Exchange, now_s: float) -> None:
        """Learn from a message to the tier above and its answer, a probe's among them."""
        remote_s = self._remote_s(self._plans[self.current]) if exchange.remote_s is None else exchange.remote_s
        before_bps = self.link.bandwidth_bps
        self.link.observe(exchange, remote_s, now_s)
        self._probing.heard(self.link, before_bps, now_s)

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

    def ended(self, plan: str, ends: Sequence[SampleEnd], *, asked_s: float, now_s: float) -> None:
        """Learn from a request's end whether the tiers are there that its plan goes on to.

        Args:
            plan: by which it was run.
            ends: how its samples ended, one or more.
            asked_s: when it was made.
            now_s: the time.
        """
        self._absences.ended(self._above[plan], ends, is_up=self._is_up, asked_s=asked_s, now_s=now_s)

    def choose(self, now_s: float, *, in_flight: int = 1, samples: int = 1) -> str:
        """Return the plan for a request that comes now.

        It is `current`, but for a request that finds out whether a tier that was gone is back.

        Args:
            now_s: the time.
            in_flight: requests of the device that have no answer yet, this one among them.
            samples: in this request.
        """
        self._note_load(now_s, in_flight, samples)
        self._look_at_overdue(now_s)
        values = self._values(self._conditions())
        self._settle(self._there(values), now_s)
        self._absences.passed()
        for plan in self._waiting(values):
            if self._absences.tried(self._above[plan], now_s):
                return plan
        return self.current

    @property
    def waiting(self) -> str | None:
        """The plan that would be run if all tiers were there that it needs; None where that is the current one."""
        if not self._absences.gone(TIERS[1:]):
            return None
        return next(iter(self._waiting(self._values(self._conditions()))), None)

    def said(self, plan: str, now_s: float, *, whole: bool) -> None:
        """Note whether the tier above says that a request by `plan` would find all that it needs."""
        self._absences.said(self._above[plan], now_s, there=whole)

    def _settle(self, values: Mapping[str, float], now_s: float) -> None:
        """Change the plan if another one is better, or this one cannot be run."""
        best = min(values, key=values.__getitem__)
        if self.current in values:
            held = now_s - self._switched_s >= self._config.hold_s or values[self.current] == math.inf
            waits = self._probing.is_rising(now_s) and self._sends(best) > self._sends(self.current)
            if not self._is_better(best, values) or not held or waits:
                return
        self.current, self._switched_s = best, now_s

    def probe(self, now_s: float) -> int | None:
        """Return the bytes of a probe that is worth sending now; None where none is.

        Nothing may be under way, requests must come, and the bandwidth matter: on a faster link another plan would
        run, and what is sent anyway does not show whether it is one.
        """
        if self._sent or not self._is_up or now_s - self._asked_s > _ASKED_S:
            return None
        if len(self._ready_plans()) < 2 and not self.is_doubtful:
            return None
        return self._probing.next_bytes(self.link, now_s, self._would_gain, waits=self.waiting is not None)

    def patience_s(self, nbytes: float, now_s: float) -> float:
        """How long the answer to a probe of so many bytes, sent now, is waited for, seconds."""
        return self._probing.patience_s(self.link, nbytes + MESSAGE_BYTES, now_s)

    @property
    def is_doubtful(self) -> bool:
        """Whether the link has fallen silent, and pings are finding out if it is dead."""
        return self._is_up and self._probing.is_doubtful

    def _sends(self, plan: str) -> float:
        return sum(wire.sample_bytes for wire in self._plans[plan].wires[:1])

    def _is_better(self, plan: str, values: Mapping[str, float]) -> bool:
        """Whether `plan` is better than the current one; predictions must say so by a margin."""
        margin = 0.0 if self._is_ranked(plan) else self._config.margin
        return values[plan] < values.get(self.current, math.inf) * (1 - margin)

    def _is_ranked(self, plan: str) -> bool:
        """Whether the plan was made for what no link changes: then it has its place among the plans."""
        return self._plans[plan].objective in ("energy", "bytes")

    def _there(self, values: Mapping[str, float]) -> Mapping[str, float]:
        """Of `values`, those of plans whose tiers are all there; if there are none, all."""
        there = {plan: value for plan, value in values.items() if not self._absences.gone(self._above[plan])}
        return there or values

    def _waiting(self, values: Mapping[str, float]) -> list[str]:
        """Plans that wait for tiers that are gone, and are better than the current one; the best first."""
        waiting = sorted(values.keys() - self._there(values).keys(), key=values.__getitem__)
        return [plan for plan in waiting if self._is_better(plan, values)]

    def _would_gain(self) -> bool:
        now = self._conditions()
        bandwidth_bps = max(self.link.bandwidth_bps * _HOPED_FOR, self.link.fastest_bps)
        fast = now.links[0].model_copy(update={"bandwidth_bps": bandwidth_bps})
        hoped_for = replace(now, links=(fast, now.links[1]))
        there = self._there(self._values(hoped_for))
        return min(there, key=there.__getitem__) != self.current

    def _ready_plans(self) -> list[str]:
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

    def _values(self, conditions: Conditions) -> dict[str, float]:
        return {plan: self._value(self._plans[plan], conditions) for plan in self._ready_plans()}

    def _value(self, plan: PlanEntry, conditions: Conditions) -> float:
        """What the plan was made for, ms; for energy and bytes, which no link changes, its place among them."""
        predicted = predict(plan, conditions)
        if self._is_ranked(plan.id) and predicted.latency_ms < math.inf:
            return float(self._order[plan.id])
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
