"""The loaded plans of a tier beyond the default ones, within a bound of memory, and the thread that loads them."""

import logging
import math
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from splitnet.errors import SplitNetError, UnavailableError
from splitnet.tier.served import ServedModel

logger = logging.getLogger(__name__)

# A plan that was asked for a moment ago is not thrown out for another: two devices would take turns at loading.
_IN_USE_S = 10.0
# After an attempt that failed, the next one waits: a damaged file is not read at every request.
_NEXT_ATTEMPT_S = 1.0
# How long the tier above has to say whether it offers its part.
_ABOVE_S = 5.0

_LOADING = "it is being loaded: ask again"
NO_ROOM = "the plans in use leave no room for it in plan_memory_bytes"
_BROKEN = "it cannot be loaded; the log says why"
_NOT_ABOVE = "the tier above does not offer its part yet"


@dataclass(slots=True, eq=False)
class _Held:
    model: ServedModel
    size_bytes: int
    used_s: float
    unanswered: int = 0
    offered_above: bool = False
    heard_s: float = -math.inf  # when the tier above last said so


@dataclass(frozen=True, slots=True)
class _Failure:
    reason: str
    at_s: float


class PlanShelf:
    """The loaded plans of all versions of a tier, least recently used first; thread-safe.

    Plans are loaded one after the other on a thread of the shelf's own, which begins with the first of them.
    """

    def __init__(self, most_bytes: int) -> None:
        """Hold nothing yet.

        Args:
            most_bytes: of the weights of all plans that are held.
        """
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._held: OrderedDict[object, _Held] = OrderedDict()
        self._asked: dict[object, Callable[[], None]] = {}
        self._failed: dict[object, _Failure] = {}
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def get(self, key: object) -> ServedModel | None:
        """Return a plan, and note that it is wanted; None where it is not held."""
        with self._lock:
            held = self._held.get(key)
            if held is None:
                return None
            self._held.move_to_end(key)
            held.used_s = time.monotonic()
            return held.model

    def is_ready(self, key: object, *, within_s: float = math.inf) -> bool:
        """Whether a plan is held, and its part above was there when that was last asked, at most so long ago."""
        with self._lock:
            held = self._held.get(key)
            if held is None:
                return False
            heard = held.offered_above and time.monotonic() - held.heard_s <= within_s
            return held.model.way_up is None or heard

    def is_cut_off(self, key: object) -> bool:
        """Whether a plan is held whose tier above is not reached now; that may be another one when it is."""
        with self._lock:
            held = self._held.get(key)
            if held is None or not held.model.is_cut_off:
                return False
            held.heard_s = -math.inf
            return True

    def hold(self, key: object, future: "Future[Any]") -> None:
        """Keep a plan at least until `future` has ended."""
        with self._lock:
            held = self._held.get(key)
            if held is None:
                return
            held.unanswered += 1
        future.add_done_callback(lambda ended: self._release(held, ended))

    def ask(self, key: object, build: Callable[[], ServedModel], size_bytes: int) -> str:
        """See to it that a plan becomes ready, and return why it is not yet.

        Args:
            key: of the plan.
            build: loads it; called on the shelf's thread, and raises SplitNetError.
            size_bytes: of its weights.
        """
        with self._lock:
            failure = self._failed.get(key)
            if failure is not None and time.monotonic() - failure.at_s < _NEXT_ATTEMPT_S:
                return failure.reason
            if key not in self._asked:
                self._asked[key] = job = lambda: self._work_on(key, build, size_bytes)
                self._jobs.put(job)
                self._begin()
            return failure.reason if failure is not None else _LOADING

    def drop(self, keys: set[object]) -> None:
        """Hold these plans no longer, nor load them; requests in flight end on them."""
        with self._lock:
            for key in keys:
                self._held.pop(key, None)
                self._failed.pop(key, None)
                self._asked.pop(key, None)

    def close(self) -> None:
        """Let the thread end after what it loads now."""
        with self._lock:
            self._asked.clear()
        self._jobs.put(None)

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="plans", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # it knows its version, which may be dropped while this waits for the next

    def _work_on(self, key: object, build: Callable[[], ServedModel], size_bytes: int) -> None:
        reason: str | None = _BROKEN
        try:
            reason = self._attempt(key, build, size_bytes)
        except SplitNetError as err:
            logger.warning("a plan could not be loaded: %s", err)
        except Exception:  # or no plan would ever be loaded again
            logger.exception("a plan could not be loaded")
        with self._lock:
            self._failed.pop(key, None)
            if self._asked.pop(key, None) is not None and reason is not None:
                self._failed[key] = _Failure(reason, time.monotonic())

    def _attempt(self, key: object, build: Callable[[], ServedModel], size_bytes: int) -> str | None:
        """Load the plan unless it is there, and ask the tier above; return why it is still not ready."""
        with self._lock:
            if key not in self._asked:  # dropped since
                return None
            held = self._held.get(key)
            if held is None and not self._make_room(size_bytes):
                return NO_ROOM
        if held is None:
            held = _Held(build(), size_bytes, time.monotonic())
            with self._lock:
                if key not in self._asked:  # dropped while it was loaded
                    return None
                self._held[key] = held
        if (way_up := held.model.way_up) is None:
            return None
        try:
            held.offered_above = way_up.is_offered(_ABOVE_S)
            held.heard_s = time.monotonic()
        except SplitNetError as err:
            logger.info("whether the tier above offers a plan: %s", err)
        return None if held.offered_above else _NOT_ABOVE

    def _make_room(self, size_bytes: int) -> bool:
        """Throw out what was not used for longest, as much as is needed, if that is enough."""
        free = self._most_bytes - sum(held.size_bytes for held in self._held.values())
        now_s, idle = time.monotonic(), []
        for key, held in self._held.items():
            if free >= size_bytes:
                break
            if not held.unanswered and now_s - held.used_s > _IN_USE_S:
                idle.append(key)
                free += held.size_bytes
        if free < size_bytes:
            return False
        for key in idle:
            del self._held[key]
        return True

    def _release(self, held: _Held, ended: "Future[Any]") -> None:
        with self._lock:
            held.unanswered -= 1
            held.used_s = time.monotonic()
            if not ended.cancelled() and isinstance(ended.exception(), UnavailableError):
                # The tier above may have begun anew: it is asked before another request is sent.
                held.offered_above = False
