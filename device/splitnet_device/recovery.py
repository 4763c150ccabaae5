"""How a request ends, whatever happens: with the tiers' answer, a stand-in for it, or an error, and in time."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from splitnet.errors import (
    CancelledError,
    DeadlineExceededError,
    PeerError,
    SplitNetError,
    UnavailableError,
    outcome_of,
)
from splitnet.link import Alarm, DeadlineTimer
from splitnet.runtime import Answer
from splitnet.telemetry import Events, RequestEnd
from splitnet.tensors import Tensors, kept
from splitnet.tier import AnswerCache, Question
from splitnet_device.asked import Asked

logger = logging.getLogger(__name__)

#: Who answered, in an Answer's `exits`, where the answer was kept from an earlier request.
CACHE = "cache"

# How long after its deadline a request is still waited for: what the device computes by itself may just be ending.
_GRACE_S = 0.025


#: Makes of an answer what the caller gets.
Finish = Callable[[Tensors, Answer], Answer]

#: Hears of a request's end: with an answer, or with an error.
Ended = Callable[[Asked, Answer | None, BaseException | None], None]


class Recovery:
    """Ends every request of a session, once and by its deadline."""

    def __init__(
        self,
        timer: DeadlineTimer,
        cache: AnswerCache[Answer],
        events: Events,
        finish: Finish,
        ended: Ended,
    ) -> None:
        """Take charge of a session's requests.

        Args:
            timer: the one of the way up too, so that what fails there falls back before it is given up here.
            cache: keeps answers.
            events: told of requests that end, and of kept answers that are given.
            finish: called with inputs and answer before the caller has it.
            ended: called with each request and its end, likewise.
        """
        self.cache = cache
        self.events = events
        self.finish = finish
        self._tell = ended
        self.timer = timer
        self._complaint = ""
        self._lock = threading.Lock()
        self._open: set[Future[Answer]] = set()

    @property
    def open(self) -> frozenset["Future[Answer]"]:
        """What has not ended."""
        with self._lock:
            return frozenset(self._open)

    @property
    def in_flight(self) -> int:
        """How many requests have not ended."""
        return len(self._open)

    def follow(self, asked: Asked, answer: "Future[Answer]") -> "Future[Answer]":
        """Return a future that ends with `answer` or what stands in for it, and can be cancelled until then."""
        ending = _Ending(asked, answer, self)
        with self._lock:
            beside = len(self._open)
            self._open.add(ending)
        ending.begin(beside)
        return ending

    def close(self) -> None:
        """Fail what began while the session ended, which nobody would end any more."""
        for ending in self.open:
            assert isinstance(ending, _Ending)
            ending.abandon(UnavailableError("the session is closed"))

    def forget(self, ended: "Future[Answer]") -> None:
        """Note that a request has ended."""
        with self._lock:
            self._open.discard(ended)

    def end(self, asked: Asked, answer: Answer | None, error: BaseException | None) -> None:
        """Tell of a request's end, before its caller hears of it."""
        self._tell(asked, answer, error)
        model = asked.running.manifest.model
        end = RequestEnd(
            request_id=asked.id,
            model=model.name,
            plan=asked.plan.entry.id,
            version=model.version,
            status="OK" if error is None else outcome_of(error).status,
            seconds=time.monotonic() - asked.start_s,
            samples=asked.samples,
            exits=answer.exits if answer is not None else (),
            fallbacks=answer.fallbacks if answer is not None else (),
            error="" if error is None else str(error),
        )
        self.events.request_end(end)

    def note_stand_in(self, reason: SplitNetError) -> None:
        """Tell why something stands in; what persists until somebody mends it is a warning, once."""
        if isinstance(reason, PeerError):
            logger.info("the device stands in: %s", reason)
        elif str(reason) != self._complaint:
            self._complaint = str(reason)
            logger.warning("the device stands in: %s", reason)

    def keep(self, asked: Asked, answer: Answer) -> None:
        """Keep an answer for when nothing else is in hand, with a copy of what was asked: that is the caller's."""
        if not (asked.is_kept and self.cache.enabled) or answer.fallback:
            return
        inputs = {name: kept(array) for name, array in asked.inputs.items()}
        outputs = {name: kept(array) for name, array in answer.outputs.items()}
        copy = Answer(outputs, answer.exits, answer.fallbacks, version=answer.version)
        size_bytes = sum(array.nbytes for array in outputs.values())
        self.cache.keep(Question(asked.question.of, inputs), copy, size_bytes)


class _Ending(Future[Answer]):
    """One request until its end: the first to claim it gives the answer, whoever comes later is not heard."""

    def __init__(self, asked: Asked, answer: "Future[Answer]", recovery: Recovery) -> None:
        super().__init__()
        self._asked = asked
        self._answer: Future[Answer] | None = answer
        self._recovery = recovery
        self._lock = threading.Lock()
        self._claimed = False
        self._reason: SplitNetError | None = None
        self._standing_by: Future[Answer] | None = None
        self._alarms: list[Alarm] = []

    def begin(self, beside: int) -> None:
        """Watch the request, with so many others under way."""
        answer = self._answer
        assert answer is not None
        if not (answer.done() and answer.exception() is None):
            deadline, timer = self._asked.deadline, self._recovery.timer
            self._alarms.append(timer.call_at(deadline.earlier_by(-_GRACE_S), self._give_up))
            if (backup := self._asked.backup) is not None:
                reserve_s = min(backup.reserve_s(self._asked.samples, beside), deadline.remaining_s() / 2)
                self._alarms.append(timer.call_at(deadline.earlier_by(reserve_s), self._stand_by))
        answer.add_done_callback(self._came)

    def cancel(self) -> bool:
        """Take the request back unless it has ended, here and from the tier above."""
        cancelled, answer = super().cancel(), self._answer
        if cancelled and self._claim():
            if answer is not None:
                answer.cancel()
            self._recovery.end(self._asked, None, CancelledError("cancelled"))
            self.set_running_or_notify_cancel()  # or who waits for several futures would go on waiting
            self._recovery.forget(self)
        return cancelled

    def abandon(self, error: SplitNetError) -> None:
        """End it with `error`, if it has not ended."""
        self._fail(error)

    def _came(self, answer: "Future[Answer]") -> None:
        """The tiers, or the device's own exit, have answered or failed."""
        if answer.cancelled():
            return
        error = answer.exception()
        if error is None:
            self._deliver(answer.result())
        elif isinstance(error, SplitNetError):
            self._recover(error)
        else:
            self._fail(error)

    def _recover(self, reason: SplitNetError) -> None:
        """Have the backup answer, or what was kept, for `reason`."""
        self._reason = self._reason or reason
        self._stand_by()
        backup = self._standing_by
        if backup is not None:
            backup.add_done_callback(self._stood_in)
        else:
            self._last_resort()

    def _stand_by(self) -> None:
        """Have the backup compute, so that its answer is in hand when it is needed."""
        backup = self._asked.backup
        with self._lock:
            if backup is None or self._claimed or self._standing_by is not None:
                return
            try:
                self._standing_by = backup.submit(self._asked.inputs, self._asked.deadline.earlier_by(-_GRACE_S))
            except SplitNetError as err:
                logger.info("the backup model does not answer: %s", err, extra={"request_id": self._asked.id})

    def _stood_in(self, backup: "Future[Answer]") -> None:
        if backup.cancelled() or (error := backup.exception()) is not None:
            if not backup.cancelled():
                logger.warning("the backup model failed: %s", error, extra={"request_id": self._asked.id})
            self._last_resort()
        else:
            self._deliver(self._marked(backup.result(), backup.result().exits))

    def _give_up(self) -> None:
        """Time is up, and who should have ended the request has not."""
        self._reason = self._reason or DeadlineExceededError("no answer within the deadline, nor from this device")
        answer, backup = self._answer, self._standing_by
        if backup is not None and backup.done():
            self._stood_in(backup)
        else:
            self._last_resort()
        if answer is not None:
            answer.cancel()

    def _last_resort(self) -> None:
        """Give the answer that the same inputs had before, or the error."""
        assert self._reason is not None
        kept = self._recovery.cache.find(self._asked.question) if self._asked.is_kept else None
        if kept is None:
            self._fail(self._reason)
        else:
            self._recovery.events.cache_hit("device")
            self._deliver(self._marked(kept, (CACHE,) * len(kept.exits)))

    def _marked(self, answer: Answer, exits: tuple[str, ...]) -> Answer:
        assert self._reason is not None
        self._recovery.note_stand_in(self._reason)
        return replace(answer, exits=exits, fallbacks=(outcome_of(self._reason).status,) * len(exits))

    def _deliver(self, answer: Answer) -> None:
        if not self._claim():
            return
        try:
            self._recovery.keep(self._asked, answer)
            answer = self._recovery.finish(self._asked.inputs, answer)
        except Exception:  # the answer counts for more than what is kept of it
            logger.exception("an answer is not remembered", extra={"request_id": self._asked.id})
        self._recovery.end(self._asked, answer, None)
        if self.set_running_or_notify_cancel():
            self.set_result(answer)
        self._recovery.forget(self)

    def _fail(self, error: BaseException) -> None:
        if not self._claim():
            return
        self._recovery.end(self._asked, None, error)
        if self.set_running_or_notify_cancel():
            self.set_exception(error)
        self._recovery.forget(self)

    def _claim(self) -> bool:
        """Whether this is the first end of the request."""
        with self._lock:
            if self._claimed:
                return False
            self._claimed = True
            # They know this, and would keep the tensors of all until the next collection of cycles.
            backup, self._standing_by, self._answer = self._standing_by, None, None
        for alarm in self._alarms:
            self._recovery.timer.cancel(alarm)
        if backup is not None:
            backup.cancel()
        return True
