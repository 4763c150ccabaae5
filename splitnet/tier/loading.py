"""Calls on a tier's repository: what is there, loading a version beside the running one, and unloading."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future

from splitnet.errors import InvalidArgumentError, NotFoundError, OverloadedError, SplitNetError
from splitnet.link import PACKAGE_PARAMETER, PLAN_PARAMETER, VERSION_PARAMETER
from splitnet.package import Package
from splitnet.protocol import IndexEntry, IndexRequest, ModelChange
from splitnet.protocol.quoting import quote
from splitnet.tier.folder import PackageFolder
from splitnet.tier.versions import ServedVersion, Versions, check_successor

logger = logging.getLogger(__name__)

#: Makes a package ready to be served: verified, opened, warm.
Build = Callable[[Package], ServedVersion]


class Loader:
    """The repository of one tier; satisfies `splitnet.link.ModelRepository`."""

    def __init__(self, folder: PackageFolder, versions: Versions, build: Build, *, may_change: bool) -> None:
        """Take charge of `versions`.

        Args:
            folder: where packages are found.
            versions: what is offered, to which loaded versions are added.
            build: runs on a thread of its own, never on one that computes for requests.
            may_change: whether callers may load and unload.
        """
        self._folder = folder
        self._versions = versions
        self._build = build
        self._busy = threading.Lock()
        self._may_change = may_change

    @property
    def may_change(self) -> bool:
        """Whether callers may load and unload."""
        return self._may_change

    def index(self, request: IndexRequest) -> tuple[IndexEntry, ...]:
        """Return the models that are offered, and the packages that are not loaded.

        Raises:
            InvalidArgumentError: a repository is named.
        """
        _check_repository(request.repository)
        offered = self._versions.offered
        entries = [_entry(each, name) for each in offered for name in sorted(each.names)]
        if request.ready:
            return tuple(entry for entry in entries if entry.state == "READY")
        loaded = [each.manifest for each in offered]
        return (
            *entries,
            *(
                IndexEntry(
                    package.manifest.model.name,
                    str(package.manifest.model.version),
                    "UNAVAILABLE",
                    f"{package.path.name} is not loaded",
                )
                for package in self._folder.packages()
                if package.manifest not in loaded
            ),
        )

    def load(self, change: ModelChange) -> "Future[None]":
        """Begin to load a package; the future ends once it is offered.

        Its error is a SplitNetError: NotFoundError for no such package, InvalidArgumentError for one that cannot
        take over, PackageError or ModelError for a damaged one, UnavailableError where the tier above does not
        offer its version. What is offered then stays as it is.

        Raises:
            NotFoundError: another model is asked for.
            InvalidArgumentError: a parameter is not understood.
            OverloadedError: a package is being loaded already.
        """
        name, plan = self._checked(change)
        if not self._busy.acquire(blocking=False):
            raise OverloadedError("another package is being loaded; try again later")
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()
        # A daemon: a tier that is told to end does not wait for what nobody will ask for.
        thread = threading.Thread(target=self._run, args=(name, plan, done), name="load", daemon=True)
        try:
            thread.start()
        except RuntimeError as err:  # the system has no thread left
            self._busy.release()
            raise OverloadedError("no thread is left to load a package; try again later") from err
        return done

    def unload(self, change: ModelChange) -> None:
        """Offer a version no more; requests in flight end on it.

        Raises:
            NotFoundError: another model, or a version that is not loaded.
            InvalidArgumentError: the version is the only one, or a parameter is not understood.
        """
        self._check_model(change)
        version = change.parameters.get(VERSION_PARAMETER, "")
        if isinstance(version, bool | bytes):
            raise InvalidArgumentError(
                f"parameter {VERSION_PARAMETER}: expected a number, got {type(version).__name__}"
            )
        _drop(self._versions.withdraw(str(version)))

    def _run(self, name: str | None, plan: str | None, done: "Future[None]") -> None:
        error: Exception | None = None
        try:
            self._load(self._folder.open(name) if name is not None else self._folder.newest(), plan)
        except SplitNetError as err:
            error = err
        except Exception as err:  # nobody else would ever end the call
            logger.exception("a package could not be loaded")
            error = err
        finally:
            self._busy.release()
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def _load(self, package: Package, plan: str | None) -> None:
        manifest = package.manifest
        if plan is not None and plan != manifest.plan.id:
            raise InvalidArgumentError(
                f"the package {package.path.name!r} here runs plan {manifest.plan.id}, not {quote(plan)}: "
                "copy the same package to every tier"
            )
        for each in self._versions.offered:
            check_successor(each.manifest, manifest)
        if any(each.manifest == manifest for each in self._versions.offered):
            return
        dropped = self._versions.offer(self._build(package))
        logger.info("version %d is loaded from %s", manifest.model.version, package.path)
        for each in dropped:
            _drop(each)

    def _checked(self, change: ModelChange) -> tuple[str | None, str | None]:
        """Return the package's name and the plan that a load asks for."""
        self._check_model(change)
        texts: list[str | None] = []
        for key in (PACKAGE_PARAMETER, PLAN_PARAMETER):
            value = change.parameters.get(key)
            if value is not None and not isinstance(value, str):
                raise InvalidArgumentError(f"parameter {key}: expected text, got {type(value).__name__}")
            texts.append(value)
        if refused := [key for key in change.parameters if key == "config" or key.startswith("file:")]:
            raise InvalidArgumentError(
                f"parameter {quote(refused[0])}: a model's configuration and files come from the repository alone"
            )
        return texts[0], texts[1]

    def _check_model(self, change: ModelChange) -> None:
        _check_repository(change.repository)
        served = self._versions.newest.manifest.model.name
        if change.model != served:
            raise NotFoundError(f"model {quote(change.model)} cannot be loaded or unloaded here; {served!r} can")


def _entry(version: ServedVersion, name: str) -> IndexEntry:
    if name in version.models or (version.plans is not None and version.plans.is_loaded(name)):
        return IndexEntry(name, version.name, "READY")
    return IndexEntry(name, version.name, "UNAVAILABLE", "a plan that is loaded when it is asked for")


def _check_repository(name: str) -> None:
    if name:
        raise InvalidArgumentError(f"there is one repository, without a name; leave out {quote(name)}")


def _drop(version: ServedVersion) -> None:
    version.drop()
    logger.info("version %s is offered no more, and freed after its last request", version.name)
