"""The versions of a package that a tier offers: each answered by its own segments, at most two at a time."""

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from splitnet.errors import InvalidArgumentError, NotFoundError
from splitnet.package import Manifest, TensorEntry
from splitnet.protocol.quoting import quote
from splitnet.tensors import TensorSpec
from splitnet.tier.plans import VersionPlans
from splitnet.tier.served import ServedModel

#: The one that everybody goes over to, and the one that they come from.
MOST_VERSIONS = 2


@dataclass(frozen=True, slots=True, eq=False)
class ServedVersion:
    """A package as a tier runs it.

    Attributes:
        manifest: the package's.
        models: by the names that clients ask for; always loaded.
        plans: beyond the default one, loaded when they are asked for; None where there are none.
    """

    manifest: Manifest
    models: Mapping[str, ServedModel]
    plans: VersionPlans | None = None

    @property
    def name(self) -> str:
        """The version as the protocol writes it."""
        return str(self.manifest.model.version)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its models, those of plans that are not loaded among them."""
        return (*self.models, *(self.plans.names if self.plans is not None else ()))

    def has(self, model: str) -> bool:
        """Whether it has a model of that name, loaded or not."""
        return model in self.models or (self.plans is not None and model in self.plans.names)

    def is_ready(self, model: str) -> bool:
        """Whether a model that it has answers now; a plan's that does not begins to be loaded."""
        return model in self.models or (self.plans is not None and self.plans.is_ready(model))

    def is_whole(self, model: str) -> bool:
        """Whether a request for a model that it has would find all that its plan needs, here and above."""
        if model in self.models:
            return not self.models[model].is_cut_off
        return self.plans is not None and self.plans.is_whole(model)

    def get(self, model: str) -> ServedModel:
        """Return a model that it has.

        Raises:
            UnavailableError: it is a plan's, and not loaded; that begins now.
        """
        if model in self.models:
            return self.models[model]
        assert self.plans is not None
        return self.plans.get(model)

    def interface(self, model: str) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Return what a model that it has takes, and what it answers."""
        if model in self.models:
            return self.models[model].pipeline.incoming, self.models[model].outputs
        assert self.plans is not None
        return self.plans.interface(model)

    def hold(self, model: str, future: "Future[Any]") -> None:
        """Keep a model loaded at least until `future` has ended."""
        if model not in self.models and self.plans is not None:
            self.plans.hold(model, future)

    def drop(self) -> None:
        """Hold nothing that was loaded on demand any longer."""
        if self.plans is not None:
            self.plans.drop()


class Versions:
    """What a tier offers, newest first; thread-safe.

    It is replaced whole, so that whoever looks sees the state before a change or after it. What is taken out is
    kept by its requests in flight alone, and freed after the last.
    """

    def __init__(self, first: ServedVersion) -> None:
        self._lock = threading.Lock()
        self._offered: tuple[ServedVersion, ...] = (first,)

    @property
    def offered(self) -> tuple[ServedVersion, ...]:
        """All of them, newest first."""
        return self._offered

    @property
    def newest(self) -> ServedVersion:
        """The one with the highest number, which answers where no version is named."""
        return self._offered[0]

    def find(self, model: str, version: str) -> ServedVersion:
        """Return the version of `model` that is named, the newest where `version` is empty.

        Raises:
            NotFoundError: there is no such model or version; the message lists what there is.
        """
        offered = self._offered
        for each in offered:
            if version in ("", each.name) and each.has(model):
                return each
        having = [each for each in offered if each.has(model)]
        if not having:
            known = sorted({name for each in offered for name in each.names})
            raise NotFoundError(f"model {quote(model)} is not served here; there are {known}")
        known = [each.name for each in having]
        there = f"there is {known[0]!r}" if len(known) == 1 else f"there are {known}"
        raise NotFoundError(f"model {model!r} has no version {quote(version)} here; {there}")

    def offer(self, version: ServedVersion) -> tuple[ServedVersion, ...]:
        """Offer `version` and the newest beside it, and return what is offered no more."""
        with self._lock:
            beside = [each for each in self._offered if each.name != version.name]
            kept = (version, *beside[: MOST_VERSIONS - 1])
            dropped = tuple(each for each in self._offered if each not in kept)
            self._offered = tuple(sorted(kept, key=lambda each: each.manifest.model.version, reverse=True))
        return dropped

    def withdraw(self, version: str) -> ServedVersion:
        """Offer a version no more, the lowest where `version` is empty, and return it.

        Raises:
            NotFoundError: it is not offered.
            InvalidArgumentError: it is the only one.
        """
        with self._lock:
            found = next((each for each in reversed(self._offered) if version in ("", each.name)), None)
            if found is None:
                known = [each.name for each in self._offered]
                raise NotFoundError(f"version {quote(version)} is not loaded; there are {known}")
            if len(self._offered) == 1:
                raise InvalidArgumentError(
                    f"version {found.name} is the only one that is loaded: load another first, or stop the tier"
                )
            self._offered = tuple(each for each in self._offered if each is not found)
        return found


def check_successor(running: Manifest, following: Manifest) -> None:
    """Refuse a package that cannot take over from the running one: clients would notice.

    Raises:
        InvalidArgumentError: it is of another model, takes or answers something else, or is another package of the
            same version.
    """
    old, new = running.model, following.model
    if new.name != old.name:
        raise InvalidArgumentError(f"the package is of model {new.name!r}; {old.name!r} is served here")
    for what, before, after in (("takes", old.inputs, new.inputs), ("answers", old.outputs, new.outputs)):
        if before != after:
            raise InvalidArgumentError(
                f"version {new.version} of {new.name!r} {what} {_shown(after)}, the running version {old.version} "
                f"{_shown(before)}: serve it under another name"
            )
    if new.version == old.version and following != running:
        raise InvalidArgumentError(
            f"version {new.version} of {new.name!r} runs here with other contents (plan {running.plan.id}, not "
            f"{following.plan.id}): give the package another version"
        )


def _shown(entries: tuple[TensorEntry, ...]) -> str:
    return ", ".join(f"{entry.name} {entry.dtype}{list(entry.shape)}" for entry in entries)
