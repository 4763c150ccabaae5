"""The choice among a version's plans, for threads: what is seen of link and tiers goes in, the plan comes out."""

import logging
import threading
import time
from collections import Counter
from concurrent.futures import Future

from splitnet.adaptive import PlanChooser
from splitnet.config import AdaptiveConfig
from splitnet.errors import SplitNetError
from splitnet.runtime import Answer
from splitnet.telemetry import Exchange
from splitnet.tiers import TIERS, Tier
from splitnet_device.running import RunningPlan, RunningVersion

logger = logging.getLogger(__name__)


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

    def choose(self, in_flight: int, samples: int) -> tuple[str, RunningPlan]:
        """Return the id of the plan so far, and the plan for a request that comes now."""
        with self._lock:
            before = self._chooser.current
            chosen = self._chooser.choose(time.monotonic(), in_flight=in_flight, samples=samples)
        return before, self.running.prepare(chosen)

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
        above.add_done_callback(lambda _: self._returned(ticket))

    def observe(self, exchange: Exchange) -> None:
        """Learn from a message to the tier above and its answer."""
        with self._lock:
            self._chooser.observe(exchange, time.monotonic())

    def answered(self, plan: str, answer: Answer) -> None:
        """Learn from an answer what the tiers take."""
        at = Counter(answer.exits)
        reached: dict[Tier, int] = {
            tier: sum(at[deeper] for deeper in TIERS[index:]) for index, tier in enumerate(TIERS)
        }
        with self._lock:
            self._chooser.answered(plan, reached=reached, compute_ms=answer.timings_ms, queue_ms=answer.queue_ms)

    def probe(self, timeout_s: float) -> None:
        """Probe the link where that is worth it, and wait for the answer, at most `timeout_s` seconds."""
        with self._lock:
            nbytes = self._chooser.probe(time.monotonic())
            if nbytes is None:
                return
            ticket = self._chooser.sent_probe(nbytes, time.monotonic())
        try:
            self.running.probe(nbytes, timeout_s)  # the link tells of the exchange
        except SplitNetError as err:
            logger.debug("a probe of the link failed: %s", err)
        finally:
            self._returned(ticket)

    def _returned(self, ticket: int) -> None:
        with self._lock:
            self._chooser.returned(ticket, time.monotonic())
