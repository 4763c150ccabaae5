"""A folder of packages: where a tier finds the versions that it may load."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeAlias

from splitnet.errors import NotFoundError, PackageError
from splitnet.package import Package, open_package
from splitnet.package.entries import MANIFEST, SIGNATURE
from splitnet.protocol.quoting import quote

logger = logging.getLogger(__name__)

# A folder that is shared with other things is looked through no further.
_MOST_ENTRIES = 1000

# Packages whose manifests have so many bytes together stay at hand; in memory they take some five times as many.
_MOST_KEPT_BYTES = 4 * 2**20

#: A file's inode, its size in bytes, and when it was written and last changed, ns; None for one that is not there.
_FileState: TypeAlias = tuple[int, int, int, int] | None


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What stays the same as long as a package does: where it lies, and the files that opening it reads."""

    place: str
    manifest: _FileState
    signature: _FileState
    key: _FileState

    @classmethod
    def of(cls, package: Path, key: Path | None) -> Self:
        manifest, signature = _state(package / MANIFEST), _state(package / SIGNATURE)
        return cls(os.path.realpath(package), manifest, signature, _state(key) if key is not None else None)

    @property
    def manifest_bytes(self) -> int:
        return self.manifest[1] if self.manifest is not None else 0


def _state(file: Path) -> _FileState:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


_Known: TypeAlias = tuple[_Stamp, Package]


class PackageFolder:
    """The packages of one model that lie directly in one folder.

    Hidden entries do not count: a package that is being written is one. What was opened is not opened again while
    its files stay the same.
    """

    def __init__(self, path: Path, model: str, *, key: Path | None = None) -> None:
        """Look at nothing yet.

        Args:
            path: the folder.
            model: whose packages count.
            key: the public key that they must be signed with; None takes unsigned ones.
        """
        self._path = path
        self._model = model
        self._key = key
        # By name, of whatever model. It is replaced whole: several threads may look.
        self._known: dict[str, _Known] = {}
        self._refused: dict[str, str] = {}

    def open(self, name: str) -> Package:
        """Open the package `name`, of whatever model.

        Raises:
            NotFoundError: there is no such package directly in the folder.
            PackageError: its manifest is damaged, of another format, or not signed as it must be.
            ConfigError: the key cannot be read.
        """
        missing = NotFoundError(f"the repository holds no package {quote(name)}")
        if name.startswith(".") or name != Path(name).name or "\0" in name:
            raise missing
        path = self._path / name
        try:
            # A link may stand for a package here, but not lead out of the folder.
            if not path.resolve(strict=True).is_relative_to(self._path.resolve(strict=True)):
                raise missing
            return open_package(path, self._key)
        except (
            NotFoundError,
            OSError,
            RuntimeError,
        ) as err:  # whose texts name paths; RuntimeError: links in a circle
            raise missing from err

    def newest(self) -> Package:
        """Open the package of the highest version.

        Raises:
            NotFoundError: there is none of this model.
        """
        packages = self.packages()
        if not packages:
            raise NotFoundError(f"the repository holds no package of model {self._model!r}")
        return self.open(packages[0].path.name)

    def packages(self) -> list[Package]:
        """Return all packages of the model that can be opened, the highest version first."""
        try:
            names = sorted(path.name for path in self._path.iterdir())
        except OSError as err:
            logger.warning("repository %s: cannot be read: %s", self._path, err.strerror)
            return []
        known: dict[str, _Known] = {}
        refused: dict[str, str] = {}
        found: list[Package] = []
        room = _MOST_KEPT_BYTES
        for name in names[:_MOST_ENTRIES]:
            if (seen := self._looked_at(name, refused)) is None:
                continue
            stamp, package = seen
            room -= stamp.manifest_bytes
            if room >= 0:
                known[name] = seen
            if package.manifest.model.name == self._model:
                found.append(package)
        self._known, self._refused = known, refused
        return sorted(found, key=lambda package: package.manifest.model.version, reverse=True)

    def _looked_at(self, name: str, refused: dict[str, str]) -> _Known | None:
        """Return a package, of whatever model, opened if it is another than it was; None where that fails.

        Why one is refused is logged when it is news, and noted in `refused`.
        """
        # Taken before the package is opened: a change meanwhile is seen next time.
        stamp = _Stamp.of(self._path / name, self._key)
        before = self._known.get(name)
        if before is not None and before[0] == stamp:
            return before
        try:
            return stamp, self.open(name)
        except NotFoundError:
            return None
        except PackageError as err:
            refused[name] = str(err)
            if self._refused.get(name) != refused[name]:
                logger.warning("repository: %s", err)
            return None
