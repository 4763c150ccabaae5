"""Writing a package: into a temporary directory, flushed, then renamed, so that none is ever half there."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from splitnet.errors import PackageError
from splitnet.package.agree import disagreements
from splitnet.package.entries import MANIFEST, FileEntry
from splitnet.package.manifest import Manifest
from splitnet.package.reader import Package
from splitnet.whole_file import sync_directory

#: What a file shall hold: its bytes or, for what should not be held at once, a function that yields them in parts.
Content: TypeAlias = bytes | Callable[[], Iterable[bytes | memoryview]]


def write_package(path: Path, manifest: Manifest, files: Mapping[str, Content]) -> Package:
    """Write `manifest` and `files` (by path inside the package) as the package `path`.

    A package that is already at `path` is replaced; anything else there is left alone.

    Raises:
        PackageError: the pieces contradict one another, something else is in the way, the disk refuses, or a
            file's content is not what the manifest says of it.
    """
    check_target(path)
    if wrong := disagreements(manifest):
        raise PackageError(f"{path}: {'; '.join(wrong)}")
    if files.keys() != (named := manifest.files).keys():
        raise PackageError(f"{path}: files {sorted(files)} are not those that the manifest names, {sorted(named)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as err:
        raise PackageError(f"{path}: cannot be written: {err.strerror}") from err
    try:
        building.chmod(0o755)
        for name, content in files.items():
            found = _write(building / name, content)
            if found != (named[name].size_bytes, named[name].sha256):
                raise PackageError(f"{path}: {name} {_changed(found, named[name])}")
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


def _write(path: Path, content: Content) -> tuple[int, str]:
    """Write a file to the disk itself, and return its size in bytes and its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        for part in [content] if isinstance(content, bytes) else content():
            digest.update(part)
            size += file.write(part)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)
    return size, digest.hexdigest()


def _changed(found: tuple[int, str], entry: FileEntry) -> str:
    return (
        f"came as {found[0]} bytes with SHA-256 {found[1]}, not as the {entry.size_bytes} with {entry.sha256} "
        "that the manifest names; the model's files changed meanwhile: cut again"
    )


def _replace(building: Path, path: Path) -> None:
    sync_directory(building)
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
    sync_directory(path.parent)
