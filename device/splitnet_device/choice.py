"""The choice among a version's plans, for threads: what is seen of link and tiers goes in, the plan comes out."""

import logging
import threading
import time
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass

from splitnet.adaptive import PlanChooser, SampleEnd
from splitnet.config import AdaptiveConfig
from splitnet.errors import (
    DeadlineExceededError,
    SplitNetError,
    UnavailableError,
    outcome_of,
    without_frames,
)
from splitnet.runtime import Answer
from splitnet.telemetry import Exchange
from splitnet.tiers import TIERS, Tier
from splitnet_device.asked import Asked
from splitnet_device.running import RunningPlan, RunningVersion

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of a look at the link.

    Attributes:
        unanswered: whether a probe had no answer in time.
        lost: the plan by which a request would be lost, as the tier above says; None where it does not.
    """

    unanswered: bool = False
    lost: str | None = None


class Choice:
    """One version's chooser."""

    def __init__(self, running: RunningVersion, config: AdaptiveConfig, *, before: "Choice | None" = None) -> None:
        """Begin with the default plan.

        Args:
            running: the version; of its plans, those that fit into memory beside the default one are run.
            config: margin, hold time and probes.
            before: the choice of the version before, which knows the link.
        """
        self.running = running
        self._lock = threading.Lock()
        self._chooser = PlanChooser(running.manifest, [plan.id for plan in running.plans], config)
        for plan in running.plans[1:]:
            self._chooser.set_ready(plan.id, ready=False)
        if before is not None:
            self._chooser.link = before._chooser.link  # noqa: SLF001  (of its own kind)

    @property
    def current(self) -> RunningPlan:
        """The plan that requests begin on."""
        return self.running.prepare(self._chooser.current)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way on the link."""
        return self._chooser.is_idle

    @property
    def is_doubtful(self) -> bool:
        """Whether the link has fallen silent, and probes are finding out if it is dead."""
        return self._chooser.is_doubtful

    def choose(self, in_flight: int, samples: int) -> tuple[RunningPlan, tuple[str, str] | None]:
        """Return the plan for a request that comes now, and where another follows one by that, the ids of both."""
        with self._lock:
            before = self._chooser.current
            chosen = self._chooser.choose(time.monotonic(), in_flight=in_flight, samples=samples)
            after = self._chooser.current
        return self.running.prepare(chosen), (before, after) if after != before else None

    def set_link(self, *, up: bool) -> None:
        """Note whether the tier above is reached."""
        with self._lock:
            self._chooser.set_link(up=up)

    def set_ready(self, plan: str, *, ready: bool) -> None:
        """Note whether a plan can be run now, here and above."""
        with self._lock:
            self._chooser.set_ready(plan, ready=ready)

    def follow(self, plan: str, samples: int, above: "Future[Answer]") -> None:
        """Watch a request that goes up."""
        with self._lock:
            ticket = self._chooser.sent(plan, samples, time.monotonic())
        above.add_done_callback(
            lambda done: self._returned(ticket, None if done.cancelled() else done.exception())
        )

    def observe(self, exchange: Exchange) -> None:
        """Learn from a message to the tier above and its answer."""
        with self._lock:
            self._chooser.observe(exchange, time.monotonic())

    def ended(self, asked: Asked, answer: Answer | None, error: BaseException | None) -> None:
        """Learn from a request's end: what the tiers take, or which of them is not there."""
        plan = asked.plan.entry.id
        with self._lock:
            self._chooser.ended(plan, _ends(answer, error), asked_s=asked.start_s, now_s=time.monotonic())
        if answer is not None and not answer.fallback:
            self._answered(plan, answer)

    def _answered(self, plan: str, answer: Answer) -> None:
        at = Counter(answer.exits)
        reached: dict[Tier, int] = {
            tier: sum(at[deeper] for deeper in TIERS[index:]) for index, tier in enumerate(TIERS)
        }
        with self._lock:
            self._chooser.answered(plan, reached=reached, compute_ms=answer.timings_ms, queue_ms=answer.queue_ms)

    def probe(self) -> Probed:
        """Probe the link where that is worth it, for a second at most; by a plan that waits, if one does."""
        with self._lock:
            now_s = time.monotonic()
            nbytes = self._chooser.probe(now_s)
            if nbytes is None:
                return Probed()
            waiting = self._chooser.waiting
            timeout_s = self._chooser.patience_s(nbytes, now_s)
            ticket = self._chooser.sent_probe(nbytes, now_s)
        whole: bool | None = None
        error: BaseException | None = None
        try:
            whole = self.running.probe(nbytes, timeout_s, waiting)  # the link tells of the exchange
        except SplitNetError as err:
            logger.debug("a probe of the link failed: %s", err)
            error = without_frames(err)
        finally:
            self._returned(ticket, error)
        if waiting is not None and whole is not None:
            with self._lock:
                self._chooser.said(waiting, time.monotonic(), whole=whole)
        return Probed(isinstance(error, DeadlineExceededError), waiting if whole is False else None)

    def unanswered(self) -> None:
        """Note that the tier above said nothing to a question beside the requests."""
        with self._lock:
            self._chooser.unanswered()

    def _returned(self, ticket: int, error: BaseException | None) -> None:
        unanswered = isinstance(error, DeadlineExceededError)
        with self._lock:
            self._chooser.returned(ticket, time.monotonic(), unanswered=unanswered)
            if not (error is None or unanswered or isinstance(error, UnavailableError)):
                self._chooser.refused()


def _ends(answer: Answer | None, error: BaseException | None) -> list[SampleEnd]:
    """How the samples of a request ended; an answer that a tier above had kept does not tell who is there now."""
    if answer is None:
        return [SampleEnd("", outcome_of(error).status if error is not None else "")]
    return [
        SampleEnd("" if answer.is_kept and tier in TIERS[1:] else tier, reason)
        for tier, reason in zip(answer.exits, answer.fallbacks, strict=True)
    ]
