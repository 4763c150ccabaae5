"""Which version and plan requests begin on: plans are made ready on a thread of their own before they are run."""

import logging
import math
import threading
import time
from concurrent.futures import Future

from splitnet.config import AdaptiveConfig
from splitnet.errors import DeadlineExceededError, PeerError, SplitNetError
from splitnet.runtime import Answer
from splitnet.telemetry import Events, Exchange
from splitnet_device.asked import Asked
from splitnet_device.choice import Choice
from splitnet_device.running import RunningPlan, RunningVersion

logger = logging.getLogger(__name__)

# While requests come, how often it is looked whether the link is to be probed; for how long after the last one.
_LOOK_S, _BUSY_S = 0.05, 2.0
# A tier above that does not offer a plan is asked again so much later, and has so long to say so, the longer time
# behind the bytes of requests.
_ASK_AGAIN_S, _ASK_S, _ASK_BUSY_S = 1.0, 1.0, 5.0
# For the first attempt to connect, and for this thread to end.
_FIRST_S, _CLOSE_S = 5.0, 5.0


class Planning(Events):
    """Holds the version that runs and, where it has several plans, the choice among them; listens to the link."""

    def __init__(self, config: AdaptiveConfig, events: Events) -> None:
        """Plan for nothing yet; `adopt` a version before anything else.

        Args:
            config: whether and how plans are changed.
            events: told of every change.
        """
        self._config = config
        self._events = events
        self._up: set[str] = set()
        self._choice: Choice | None = None
        self._due: dict[str, float] = {}  # when plans that are not ready are tried next
        self._tried_s: dict[str, float] = {}  # when plans of the version that runs were
        self._due_lock = threading.Lock()
        self._asked_s = 0.0
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self.running: RunningVersion

    @property
    def plan(self) -> RunningPlan:
        """The plan that requests begin on now."""
        choice = self._choice
        return choice.current if choice is not None else self.running.default

    def adopt(self, running: RunningVersion) -> None:
        """Have requests begin on `running` from now on."""
        several = self._config.enabled and len(running.plans) > 1
        choice = Choice(running, self._config, before=self._choice) if several else None
        with self._due_lock:
            self._due = {plan.id: 0.0 for plan in running.plans[1:]} if several else {}
            self._tried_s = {}
        self._choice, self.running = choice, running
        if several and self._thread is None:
            self._thread = threading.Thread(target=self._work, name="plans", daemon=True)
            self._thread.start()
        self._wake.set()

    def choose(self, in_flight: int, samples: int) -> tuple[RunningVersion, RunningPlan]:
        """Return the version and the plan for a request that comes now.

        Args:
            in_flight: requests without an answer, this one among them.
            samples: in this request.
        """
        choice = self._choice
        if choice is None:
            running = self.running
            return running, running.default
        plan, change = choice.choose(in_flight, samples)
        if change is not None:
            before, after = change
            logger.info("plan %s follows plan %s", after, before)
            self._events.plan_switch(before, after)
        self._asked_s = time.monotonic()
        self._wake.set()
        return choice.running, plan

    def follow(self, plan: str, samples: int, above: "Future[Answer]") -> None:
        """Watch a request that goes up."""
        if (choice := self._of(plan)) is not None:
            choice.follow(plan, samples, above)

    def ended(self, asked: Asked, answer: Answer | None, error: BaseException | None) -> None:
        """Learn from a request's end; where it is no answer as planned, see whether the plan is offered still."""
        plan = asked.plan.entry.id
        choice = self._of(plan)
        if choice is None:
            return
        choice.ended(asked, answer, error)
        if answer is None or answer.fallback:
            self._doubt(choice, plan)
            self._wake.set()

    def exchange(self, exchange: Exchange) -> None:
        """Learn from a message and its answer."""
        if (choice := self._choice) is not None:
            choice.observe(exchange)

    def link(self, upstream: str, *, up: bool) -> None:
        """Note that a connection came or went; who is there now may offer other plans."""
        (self._up.add if up else self._up.discard)(upstream)
        if (choice := self._choice) is not None:
            choice.set_link(up=bool(self._up))
            if up:
                with self._due_lock:
                    self._due = {plan.id: 0.0 for plan in choice.running.plans[1:]}
                self._wake.set()

    def close(self) -> None:
        """Stop the thread; call once the link is closed, which ends what it waits for."""
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=_CLOSE_S)

    def _of(self, plan: str) -> Choice | None:
        """The choice that knows `plan`; a request may end after another version was loaded."""
        choice = self._choice
        known = choice is not None and any(plan == each.id for each in choice.running.plans)
        return choice if known else None

    def _work(self) -> None:
        while not self._closed:
            self._wake.clear()
            choice = self._choice
            try:
                if choice is not None and self._look_after(choice):
                    continue
            except Exception:  # or no plan would ever be changed again
                logger.exception("plans are not looked after")
            self._wake.wait(self._pause_s())
            if self._is_busy() and not self._closed:
                time.sleep(_LOOK_S)

    def _look_after(self, choice: Choice) -> bool:
        """Probe the link, make plans ready, and return whether to go on at once: a probe had no answer."""
        probed = choice.probe()
        if probed.unanswered:
            return True
        if probed.lost is not None:
            self._doubt(choice, probed.lost)
        if not (choice.is_doubtful and self._is_busy()):  # pings find out sooner that nobody answers
            self._make_ready(choice)
        return False

    def _doubt(self, choice: Choice, plan: str) -> None:
        """Have the tier above asked whether it offers a plan still; the default one it always does."""
        if plan != choice.running.manifest.plan.id:
            again_s = self._tried_s.get(plan, -math.inf) + _ASK_AGAIN_S
            with self._due_lock:
                self._due.setdefault(plan, max(again_s, time.monotonic()))

    def _is_busy(self) -> bool:
        return time.monotonic() - self._asked_s < _BUSY_S

    def _pause_s(self) -> float | None:
        """How long to wait for something to do."""
        if self._is_busy():
            return _LOOK_S
        with self._due_lock:
            return max(0.0, min(self._due.values()) - time.monotonic()) if self._due else None

    def _make_ready(self, choice: Choice) -> None:
        """Load the plans that are due here, and have the tier above load them."""
        with self._due_lock:
            due = [plan for plan, at_s in self._due.items() if at_s <= time.monotonic()]
        if due:
            choice.set_link(up=choice.running.is_reached(_FIRST_S))
        for plan in due:
            if self._closed or choice is not self._choice:
                return
            again_s = self._try(choice, plan)
            with self._due_lock:
                if choice is not self._choice:  # another version was loaded meanwhile, with plans of its own
                    return
                if again_s is None:
                    self._due.pop(plan, None)
                else:
                    self._due[plan] = again_s

    def _try(self, choice: Choice, plan: str) -> float | None:
        """Make one plan ready if that can be done now; return when to try again, None where that is not needed."""
        is_idle = choice.is_idle
        self._tried_s[plan] = time.monotonic()
        try:
            ready = choice.running.make_ready(plan, _ASK_S if is_idle else _ASK_BUSY_S)
        except DeadlineExceededError as err:
            logger.debug("plan %s: %s", plan, err)
            if is_idle:
                choice.unanswered()
            return time.monotonic() + _ASK_AGAIN_S
        except PeerError as err:
            logger.debug("plan %s: %s", plan, err)
            ready = False
        except SplitNetError as err:  # of files here, or of rights above: asking again changes nothing
            if not self._closed:
                logger.warning("plan %s cannot be run: %s", plan, err)
            return None
        choice.set_ready(plan, ready=ready)
        return None if ready else time.monotonic() + _ASK_AGAIN_S
