"""Plans beyond the default one at an edge or a cloud: loaded when they are asked for, within a bound of memory."""

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from splitnet.errors import SplitNetError, UnavailableError
from splitnet.package import Manifest, PlanEntry
from splitnet.tensors import TensorSpec
from splitnet.tier.forward import Upstream, answers_from
from splitnet.tier.served import ServedModel
from splitnet.tiers import Tier

logger = logging.getLogger(__name__)

# A plan that was asked for a moment ago is not thrown out for another: two devices would take turns at loading.
_IN_USE_S = 10.0
# After an attempt that failed, the next one waits: a damaged file is not read at every request.
_NEXT_ATTEMPT_S = 1.0
# How long the tier above has to say whether it offers its part.
_ABOVE_S = 5.0

_LOADING = "it is being loaded: ask again"
_NO_ROOM = "the plans in use leave no room for it in plan_memory_bytes"
_BROKEN = "it cannot be loaded; the log says why"
_UNLOADED = "its version is no longer loaded"
_NOT_ABOVE = "the tier above does not offer its part yet"


@dataclass(frozen=True, slots=True)
class LoadedPlan:
    """A plan's part at this tier.

    Attributes:
        model: what runs it.
        way_up: the way to the tier above; None where the plan ends here or no tier above is configured.
    """

    model: ServedModel
    way_up: Upstream | None


#: Loads and warms a plan; raises SplitNetError.
BuildPlan = Callable[[PlanEntry], LoadedPlan]


@dataclass(slots=True, eq=False)
class _Held:
    loaded: LoadedPlan
    size_bytes: int
    used_s: float
    unanswered: int = 0
    offered_above: bool = False


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

    def get(self, key: object) -> LoadedPlan | None:
        """Return a plan, and note that it is wanted; None where it is not held."""
        with self._lock:
            held = self._held.get(key)
            if held is None:
                return None
            self._held.move_to_end(key)
            held.used_s = time.monotonic()
            return held.loaded

    def is_ready(self, key: object) -> bool:
        """Whether a plan is held, and its part above was there when that was last asked."""
        with self._lock:
            held = self._held.get(key)
            return held is not None and (held.offered_above or held.loaded.way_up is None)

    def hold(self, key: object, future: "Future[Any]") -> None:
        """Keep a plan at least until `future` has ended."""
        with self._lock:
            held = self._held.get(key)
            if held is None:
                return
            held.unanswered += 1
        future.add_done_callback(lambda _: self._release(held))

    def ask(self, key: object, build: Callable[[], LoadedPlan], size_bytes: int) -> str:
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

    def _work_on(self, key: object, build: Callable[[], LoadedPlan], size_bytes: int) -> None:
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

    def _attempt(self, key: object, build: Callable[[], LoadedPlan], size_bytes: int) -> str | None:
        """Load the plan unless it is there, and ask the tier above; return why it is still not ready."""
        with self._lock:
            if key not in self._asked:  # dropped since
                return None
            held = self._held.get(key)
            if held is None and not self._make_room(size_bytes):
                return _NO_ROOM
        if held is None:
            held = _Held(build(), size_bytes, time.monotonic())
            with self._lock:
                if key not in self._asked:  # dropped while it was loaded
                    return None
                self._held[key] = held
        if held.loaded.way_up is None:
            return None
        try:
            held.offered_above = held.loaded.way_up.is_offered(_ABOVE_S)
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

    def _release(self, held: _Held) -> None:
        with self._lock:
            held.unanswered -= 1
            held.used_s = time.monotonic()


class VersionPlans:
    """The plans of one version beyond its default one, by the names that their models are asked for."""

    def __init__(self, shelf: PlanShelf, manifest: Manifest, tier: Tier, build: BuildPlan) -> None:
        """Load nothing yet.

        Args:
            shelf: holds what is loaded.
            manifest: of the version.
            tier: this one; plans in which it takes no part are left out.
            build: loads one.
        """
        self._shelf = shelf
        self._mine = object()  # two packages may have the same number, one after the other
        self._manifest = manifest
        self._tier: Tier = tier
        self._build = build
        self._dropped = False
        others = [plan for plan in manifest.plans[1:] if plan.wire_into(tier) is not None]
        self._plans: Mapping[str, PlanEntry] = {manifest.model_name(tier, plan): plan for plan in others}

    @property
    def names(self) -> tuple[str, ...]:
        """Of all their models, loaded or not."""
        return tuple(self._plans)

    def is_ready(self, name: str) -> bool:
        """Whether a plan answers now, here and above; if not, that begins."""
        key = self._key(name)
        if self._shelf.is_ready(key):
            return True
        self._ask(name)
        return False

    def is_loaded(self, name: str) -> bool:
        """Whether a plan answers now; nothing follows from asking."""
        return self._shelf.is_ready(self._key(name))

    def get(self, name: str) -> ServedModel:
        """Return what runs a plan.

        Raises:
            UnavailableError: it is not loaded, which begins now; the message says why it is not.
        """
        loaded = self._shelf.get(self._key(name))
        if loaded is None:
            plan = self._plans[name]
            raise UnavailableError(
                f"plan {plan.id} of {self._manifest.model.name!r} is not ready: {self._ask(name)}"
            )
        return loaded.model

    def interface(self, name: str) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Return what a plan's model takes and what it answers, whether it is loaded or not; it then is."""
        plan = self._plans[name]
        wire = plan.wire_into(self._tier)
        assert wire is not None
        if not self._shelf.is_ready(self._key(name)):
            self._ask(name)
        return wire.specs, answers_from(self._manifest, self._tier, plan)

    def hold(self, name: str, future: "Future[Any]") -> None:
        """Keep a plan loaded at least until `future` has ended."""
        self._shelf.hold(self._key(name), future)

    def drop(self) -> None:
        """Hold none of them any longer, nor load any."""
        self._dropped = True
        self._shelf.drop({self._key(name) for name in self._plans})

    def _ask(self, name: str) -> str:
        plan = self._plans[name]
        segment = self._manifest.segment_of(self._tier, plan)
        is_own = segment is not None and segment != self._manifest.segment_of(self._tier)
        size_bytes = segment.param_bytes if segment is not None and is_own else 0
        reason = self._shelf.ask(self._key(name), lambda: self._build(plan), size_bytes)
        if self._dropped:  # be it since: a request that found this version before may ask it after
            self._shelf.drop({self._key(name)})
            return _UNLOADED
        return reason

    def _key(self, name: str) -> object:
        return self._mine, name
