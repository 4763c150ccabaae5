"""A folder of packages: where a tier finds the versions that it may load."""

import logging
from pathlib import Path

from splitnet.errors import NotFoundError, PackageError
from splitnet.package import Package, open_package
from splitnet.protocol.quoting import quote

logger = logging.getLogger(__name__)

# A folder that is shared with other things is looked through no further.
_MOST_ENTRIES = 1000


class PackageFolder:
    """The packages of one model that lie directly in one folder.

    Hidden entries do not count: a package that is being written is one.
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
        return packages[0]

    def packages(self) -> list[Package]:
        """Open all packages of the model that can be opened, the highest version first."""
        try:
            names = sorted(path.name for path in self._path.iterdir())
        except OSError as err:
            logger.warning("repository %s: cannot be read: %s", self._path, err.strerror)
            return []
        found = [package for name in names[:_MOST_ENTRIES] if (package := self._opened(name)) is not None]
        return sorted(found, key=lambda package: package.manifest.model.version, reverse=True)

    def _opened(self, name: str) -> Package | None:
        try:
            package = self.open(name)
        except NotFoundError:
            return None
        except PackageError as err:
            logger.warning("repository: %s", err)
            return None
        return package if package.manifest.model.name == self._model else None
