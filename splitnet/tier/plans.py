"""Plans beyond the default one at an edge or a cloud, loaded when they are asked for by their models' names."""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from splitnet.errors import UnavailableError
from splitnet.package import Manifest, PlanEntry
from splitnet.tensors import TensorSpec
from splitnet.tier.forward import answers_from
from splitnet.tier.served import ServedModel
from splitnet.tier.shelf import NO_ROOM, PlanShelf
from splitnet.tiers import Tier

logger = logging.getLogger(__name__)

# To those who ask whether a request would be lost, what the tier above said counts so long: it may have begun anew
# since, or thrown the plan out. Asked each second, it is always asked again before that.
_LATELY_S, _ANEW_S = 3.0, 0.5

_UNLOADED = "its version is no longer loaded"

#: Loads and warms a plan; raises SplitNetError.
BuildPlan = Callable[[PlanEntry], ServedModel]


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
        self._dropped = threading.Event()
        self._told: set[str] = set()
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

    def is_whole(self, name: str) -> bool:
        """Whether a request for a plan would find all that it needs, as was seen lately, here and above.

        Where that is not known, the plan begins to be loaded, or the tier above is asked.
        """
        key = self._key(name)
        if self._shelf.is_cut_off(key):
            return False
        if not self._shelf.is_ready(key, within_s=_ANEW_S):
            self._ask(name)
        return self._shelf.is_ready(key, within_s=_LATELY_S)

    def is_loaded(self, name: str) -> bool:
        """Whether a plan answers now; nothing follows from asking."""
        return self._shelf.is_ready(self._key(name))

    def get(self, name: str) -> ServedModel:
        """Return what runs a plan.

        Raises:
            UnavailableError: it is not loaded, which begins now; the message says why it is not.
        """
        model = self._shelf.get(self._key(name))
        if model is None:
            plan = self._plans[name]
            raise UnavailableError(
                f"plan {plan.id} of {self._manifest.model.name!r} is not ready: {self._ask(name)}"
            )
        return model

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
        self._dropped.set()
        self._shelf.drop({self._key(name) for name in self._plans})

    def _ask(self, name: str) -> str:
        if self._dropped.is_set():
            return _UNLOADED
        plan = self._plans[name]
        segment = self._manifest.segment_of(self._tier, plan)
        is_own = segment is not None and segment != self._manifest.segment_of(self._tier)
        size_bytes = segment.param_bytes if segment is not None and is_own else 0
        reason = self._shelf.ask(self._key(name), lambda: self._build(plan), size_bytes)
        if self._dropped.is_set():  # since
            self._shelf.drop({self._key(name)})
            return _UNLOADED
        if reason == NO_ROOM and name not in self._told:
            self._told.add(name)
            logger.warning("plan %s of %r is not ready: %s", plan.id, self._manifest.model.name, reason)
        return reason

    def _key(self, name: str) -> object:
        return self._mine, name
