"""Writing a package: into a temporary directory, flushed, then renamed, so that none is ever half there."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from splitnet.errors import PackageError
from splitnet.package.agree import disagreements
from splitnet.package.manifest import Manifest
from splitnet.package.reader import MANIFEST, Package


def write_package(path: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Package:
    """Write `manifest` and `files` (by path inside the package) as the package `path`.

    A package that is already at `path` is replaced; anything else there is left alone.

    Raises:
        PackageError: the pieces contradict one another, something else is in the way, or the disk refuses.
    """
    check_target(path)
    if wrong := disagreements(manifest):
        raise PackageError(f"{path}: {'; '.join(wrong)}")
    if files.keys() != (named := {segment.file for segment in manifest.segments}):
        raise PackageError(f"{path}: files {sorted(files)} are not those that the manifest names, {sorted(named)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as err:
        raise PackageError(f"{path}: cannot be written: {err.strerror}") from err
    try:
        building.chmod(0o755)
        for name, content in files.items():
            _write(building / name, content)
        _write(building / MANIFEST, manifest.model_dump_json(indent=2).encode() + b"\n")
        _replace(building, path)
    except OSError as err:
        raise PackageError(f"{path}: cannot be written: {err.strerror}") from err
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return Package(path, manifest)


def check_target(path: Path) -> None:
    """Refuse a `path` that holds something other than a package.

    Raises:
        PackageError: it is a file, or a directory without a manifest that is not empty.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise PackageError(f"{path}: is a file; a package is a directory: choose another name")
    if path.is_dir() and any(path.iterdir()) and not (path / MANIFEST).is_file():
        raise PackageError(f"{path}: is a directory that is no package; choose another name or remove it")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _sync_directory(path.parent)


def _replace(building: Path, path: Path) -> None:
    _sync_directory(building)
    if path.exists():
        # A directory cannot be renamed over one that is not empty: the old one steps aside first.
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
        path.rename(aside / path.name)
        try:
            building.rename(path)
        except OSError:
            (aside / path.name).rename(path)
            raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    else:
        building.rename(path)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
