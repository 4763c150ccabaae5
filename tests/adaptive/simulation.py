"""A device, a link whose bandwidth changes, and an edge, as events on a clock of their own; seeded."""

import heapq
import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from splitnet.adaptive import PlanChooser
from splitnet.package import Manifest, PlanEntry
from splitnet.telemetry import Exchange
from splitnet.tiers import Tier

#: Which plan a request is run by, given the time and how many are in flight.
Policy = Callable[[float, int], str]

_TICK_S = 0.025
_OVERHEAD_BYTES = 480
_REFUSED_BPS = 1.0


@dataclass(frozen=True)
class Trace:
    """Bandwidth over time: pieces of (from, bit/s), and the moments at which it changes for good.

    `bursts` are short disturbances: (from, to, bit/s).
    """

    pieces: tuple[tuple[float, float], ...]
    end_s: float
    bursts: tuple[tuple[float, float, float], ...] = ()

    def at(self, now_s: float) -> float:
        for begin_s, end_s, bps in self.bursts:
            if begin_s <= now_s < end_s:
                return bps
        return [bps for begin_s, bps in self.pieces if begin_s <= now_s][-1]

    def done_s(self, begin_s: float, nbytes: float) -> float:
        """When so many bytes have passed that begin at `begin_s`."""
        left, now_s = nbytes * 8, begin_s
        for edge_s in [*(edge for edge in self.changes_s if edge > begin_s), math.inf]:
            bps = max(self.at(now_s), _REFUSED_BPS)
            if left <= bps * (edge_s - now_s):
                return now_s + left / bps
            left -= bps * (edge_s - now_s)
            now_s = edge_s
        raise AssertionError

    @property
    def changes_s(self) -> list[float]:
        """When the bandwidth changes; a burst does so twice."""
        return sorted([*(begin for begin, _ in self.pieces[1:]), *(at for one in self.bursts for at in one[:2])])

    def steady(self, *, after_s: float = 1.0) -> list[tuple[float, float]]:
        """The spans that count: from `after_s` after the beginning and each change to the next."""
        begins, ends = [0.0, *self.changes_s], [*self.changes_s, self.end_s]
        return [(begin + after_s, end) for begin, end in zip(begins, ends, strict=True) if begin + after_s < end]


@dataclass
class Outcome:
    """What came of a run: answers as (submitted, answered, plan), and the switches."""

    answers: list[tuple[float, float, str]] = field(default_factory=list)
    submitted: int = 0
    switches: list[tuple[float, str]] = field(default_factory=list)
    probed_bytes: int = 0

    def throughput(self, spans: Sequence[tuple[float, float]]) -> float:
        count = sum(begin <= answered < end for begin, end in spans for _, answered, _ in self.answers)
        return count / sum(end - begin for begin, end in spans)

    def mean_latency_s(self, spans: Sequence[tuple[float, float]]) -> float:
        times = [
            answered - sent for begin, end in spans for sent, answered, _ in self.answers if begin <= sent < end
        ]
        return sum(times) / len(times)


class World:
    """Runs requests: closed loop of `clients`, or open with `rate` a second, in bursts of `burst`."""

    def __init__(
        self,
        manifest: Manifest,
        trace: Trace,
        *,
        clients: int = 0,
        rate: float = 0.0,
        burst: int = 1,
        rtt_s: float = 0.01,
        seed: int = 0,
        noise_s: float = 0.0005,
    ) -> None:
        self._plans = {plan.id: plan for plan in manifest.plans}
        self._trace, self._clients, self._rate, self._burst = trace, clients, rate, burst
        self._rtt_s, self._noise_s = rtt_s, noise_s
        self._random = random.Random(seed)  # noqa: S311  (a simulation that can be repeated)
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self._free_s = {"device": 0.0, "edge": 0.0, "link": 0.0}
        self._on_link = 0
        self._in_flight = 0
        self._policy: Policy = lambda _now, _in_flight: ""
        self._chooser: PlanChooser | None = None
        self.outcome = Outcome()

    def run(self, policy: Policy | PlanChooser) -> Outcome:
        if isinstance(policy, PlanChooser):
            self._chooser = policy
            self._at(0.0, self._tick)
        else:
            self._policy = policy
        for _ in range(self._clients):
            self._at(0.0, self._submit)
        if self._rate:
            self._at(0.0, self._arrive)
        while self._events:
            now_s, _, event = heapq.heappop(self._events)
            event(now_s)
        return self.outcome

    def _at(self, when_s: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when_s, next(self._order), event))

    def _arrive(self, now_s: float) -> None:
        for _ in range(self._burst):
            self._submit(now_s)
        if (later := now_s + self._random.expovariate(self._rate / self._burst)) < self._trace.end_s:
            self._at(later, self._arrive)

    def _submit(self, now_s: float) -> None:
        self._in_flight += 1
        self.outcome.submitted += 1
        plan = self._plans[self._chosen(now_s)]
        done_s = self._served("device", now_s, self._disturbed(plan.stages[0].compute_ms / 1e3))
        self._at(done_s, lambda at: self._computed(plan, now_s, at))

    def _chosen(self, now_s: float) -> str:
        if self._chooser is None:
            return self._policy(now_s, self._in_flight)
        before = self._chooser.current
        chosen = self._chooser.choose(now_s, in_flight=self._in_flight)
        if chosen != before:
            self.outcome.switches.append((now_s, chosen))
        return chosen

    def _computed(self, plan: PlanEntry, submitted_s: float, now_s: float) -> None:
        goes_up = len(plan.stages) > 1 and self._random.random() < plan.stages[1].reach
        if not goes_up:
            self._answer(plan, submitted_s, {"device": 1}, now_s)
            return
        ticket = self._chooser.sent(plan.id, 1, now_s) if self._chooser is not None else -1
        nbytes = plan.wires[0].sample_bytes + _OVERHEAD_BYTES

        def back(at: float) -> None:
            if self._chooser is not None:
                self._chooser.returned(ticket, at)
            self._answer(plan, submitted_s, {"device": 1, "edge": 1}, at)

        self._send(nbytes, self._disturbed(plan.stages[1].compute_ms / 1e3), back, now_s)

    def _send(self, nbytes: float, compute_s: float, back: Callable[[float], None], now_s: float) -> None:
        others = self._on_link
        self._on_link += 1
        self._free_s["link"] = passed_s = self._trace.done_s(max(now_s, self._free_s["link"]), nbytes)
        at_edge_s = passed_s + self._rtt_s / 2 + self._random.expovariate(1 / self._noise_s)
        done_s = self._served("edge", at_edge_s, compute_s)

        def answered(at: float) -> None:
            self._on_link -= 1
            if self._chooser is not None:
                exchange = Exchange("edge:1", int(nbytes), 0, at - now_s, done_s - at_edge_s, others)
                self._chooser.observe(exchange, at)
            back(at)

        self._at(done_s + self._rtt_s / 2, answered)

    def _answer(self, plan: PlanEntry, submitted_s: float, reached: dict[Tier, int], now_s: float) -> None:
        self._in_flight -= 1
        self.outcome.answers.append((submitted_s, now_s, plan.id))
        if self._chooser is not None:
            times: dict[str, float] = {
                stage.tier: stage.compute_ms for stage in plan.stages if stage.tier in reached
            }
            self._chooser.answered(plan.id, reached=reached, compute_ms=times, queue_ms={})
        if self._clients and now_s < self._trace.end_s:
            self._submit(now_s)

    def _tick(self, now_s: float) -> None:
        assert self._chooser is not None
        if (nbytes := self._chooser.probe(now_s)) is not None:
            self.outcome.probed_bytes += nbytes
            ticket = self._chooser.sent_probe(nbytes, now_s)
            chooser = self._chooser
            self._send(nbytes + _OVERHEAD_BYTES, 0.0002, lambda at: chooser.returned(ticket, at), now_s)
        if now_s < self._trace.end_s:
            self._at(now_s + _TICK_S, self._tick)

    def _served(self, who: str, now_s: float, takes_s: float) -> float:
        self._free_s[who] = max(now_s, self._free_s[who]) + takes_s
        return self._free_s[who]

    def _disturbed(self, seconds: float) -> float:
        return seconds * self._random.lognormvariate(0.0, 0.05)
