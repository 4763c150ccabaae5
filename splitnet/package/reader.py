"""Reading a package: nothing is believed before its size and digest are checked."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from splitnet.config import describe
from splitnet.errors import NotFoundError, PackageError
from splitnet.package.agree import disagreements
from splitnet.package.entries import MANIFEST, SIGNATURE, FileEntry
from splitnet.package.manifest import FORMAT_VERSION, Manifest, SegmentEntry

MAX_MANIFEST_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Package:
    """A package on disk, its manifest read and consistent; segments are checked when they are read."""

    path: Path
    manifest: Manifest

    def read_segment(self, segment: SegmentEntry) -> bytes | Path:
        """Return a segment as onnxruntime opens it: the ONNX file's bytes or, with weights beside it, its path.

        Weights are checked as a stream, never held; whoever opens the path maps them from their files.

        Raises:
            PackageError: a file is missing, leaves the package, or its size or SHA-256 differs.
        """
        if not segment.weights:
            return self.read_file(segment)
        for entry in (segment, *segment.weights):
            self._verify(entry)
        return self.path / segment.file

    def read_file(self, entry: FileEntry) -> bytes:
        """Return what a file holds.

        Raises:
            PackageError: it is missing, leaves the package, or its size or SHA-256 differs.
        """
        path = self._checked_path(entry)
        try:
            content = path.read_bytes()
        except OSError as err:
            raise _unreadable(path, err) from err
        _check_digest(path, hashlib.sha256(content).hexdigest(), entry)
        return content

    def check(self) -> int:
        """Verify the size and digest of every file, and return how many bytes were verified."""
        entries = self.manifest.files.values()
        for entry in entries:
            self._verify(entry)
        return sum(entry.size_bytes for entry in entries)

    def unlisted(self) -> tuple[str, ...]:
        """Return what else lies in the package, by path in it: nothing reads it, and no signature covers it."""
        known = {MANIFEST, SIGNATURE, *(entry.file for entry in self.manifest.files.values())}
        found = (path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if not path.is_dir())
        return tuple(sorted(set(found) - known))

    def _verify(self, entry: FileEntry) -> None:
        path = self._checked_path(entry)
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as err:
            raise _unreadable(path, err) from err
        _check_digest(path, digest, entry)

    def _checked_path(self, entry: FileEntry) -> Path:
        """Return the path of a file that lies inside the package and has the size that it should have."""
        path = self.path / entry.file
        try:
            if not path.resolve(strict=True).is_relative_to(self.path.resolve(strict=True)):
                raise PackageError(f"{path}: a link that leaves the package; make the package anew")
            size = path.stat().st_size
        except (OSError, RuntimeError) as err:  # RuntimeError: pathlib's word for links in a circle
            raise _unreadable(path, err) from err
        if size != entry.size_bytes:
            raise PackageError(
                f"{path}: {size} bytes, but the manifest says {entry.size_bytes}; copy the package again"
            )
        return path


def _unreadable(path: Path, err: Exception) -> PackageError:
    return PackageError(f"{path}: cannot be read: {err}; copy the package again")


def _check_digest(path: Path, digest: str, entry: FileEntry) -> None:
    if digest != entry.sha256:
        raise PackageError(
            f"{path}: SHA-256 is {digest}, but the manifest says {entry.sha256}; "
            "the file was altered or damaged: copy the package again"
        )


def read_manifest(path: Path, key: Path | None = None) -> Manifest:
    """Read and validate `manifest.json` of the package at `path`.

    Args:
        path: of the package.
        key: the public key that it must be signed with; None takes unsigned ones.

    Raises:
        NotFoundError: there is no package.
        PackageError: the manifest is too large, not signed with `key`, malformed, of another format, or
            contradicts itself.
        ConfigError: `key` is not there, or holds no key.
    """
    file = path / MANIFEST
    try:
        if not file.is_file():
            raise NotFoundError(
                f"{path}: not a package (it holds no {MANIFEST}); make one with `splitnet partition`"
            )
        size = file.stat().st_size
        if size > MAX_MANIFEST_BYTES:
            raise PackageError(f"{file}: {size} bytes; a manifest has at most {MAX_MANIFEST_BYTES}")
        content = file.read_bytes()
    except OSError as err:
        raise PackageError(f"{file}: cannot be read: {err.strerror}") from err
    if key is not None:
        # Whoever asks for no signature loads no cryptography.
        from splitnet.package.signature import check_signature  # noqa: PLC0415

        check_signature(path, content, key)
    try:
        manifest = Manifest.model_validate_json(content, strict=True)
    except ValidationError as err:
        raise PackageError(f"{file}: {_other_format(content) or describe(err, Manifest)}") from err
    if wrong := disagreements(manifest):
        raise PackageError(f"{file}: {'; '.join(wrong)}")
    return manifest


def _other_format(content: bytes) -> str | None:
    """What to do about a manifest of another format; None where it claims to be of this one."""
    try:
        document: Any = json.loads(content)
    except (ValueError, RecursionError):
        return None
    version = document.get("format_version", FORMAT_VERSION) if isinstance(document, dict) else FORMAT_VERSION
    if not isinstance(version, int) or version == FORMAT_VERSION:
        return None
    remedy = (
        "make the package anew with this version's `splitnet partition`"
        if version < FORMAT_VERSION
        else "read it with a newer SplitNet"
    )
    return f"format_version: the package is of format {version}, this version reads {FORMAT_VERSION}; {remedy}"


def open_package(path: Path, key: Path | None = None) -> Package:
    """Open the package at `path` (see `read_manifest`)."""
    return Package(path, read_manifest(path, key))
