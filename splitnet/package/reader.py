"""Reading a package: nothing is believed before its size and digest are checked."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from splitnet.config import describe
from splitnet.errors import NotFoundError, PackageError
from splitnet.package.agree import disagreements
from splitnet.package.manifest import Manifest, SegmentEntry

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Package:
    """A package on disk, its manifest read and consistent; segments are checked when they are read."""

    path: Path
    manifest: Manifest

    def read_segment(self, segment: SegmentEntry) -> bytes:
        """Return a segment's ONNX file.

        Raises:
            PackageError: the file is missing, leaves the package, or its size or SHA-256 differs.
        """
        path = self.path / segment.file
        try:
            if not path.resolve(strict=True).is_relative_to(self.path.resolve(strict=True)):
                raise PackageError(f"{path}: a link that leaves the package; make the package anew")
            size = path.stat().st_size
            if size != segment.size_bytes:
                raise PackageError(
                    f"{path}: {size} bytes, but the manifest says {segment.size_bytes}; copy the package again"
                )
            content = path.read_bytes()
        except (OSError, RuntimeError) as err:  # RuntimeError: pathlib's word for links in a circle
            raise PackageError(f"{path}: cannot be read: {err}; copy the package again") from err
        digest = hashlib.sha256(content).hexdigest()
        if digest != segment.sha256:
            raise PackageError(
                f"{path}: SHA-256 is {digest}, but the manifest says {segment.sha256}; "
                "the file was altered or damaged: copy the package again"
            )
        return content

    def check(self) -> int:
        """Verify every segment's size and digest, and return how many bytes were verified."""
        return sum(len(self.read_segment(segment)) for segment in self.manifest.segments)


def read_manifest(path: Path) -> Manifest:
    """Read and validate `manifest.json` of the package at `path`.

    Raises:
        NotFoundError: there is no package.
        PackageError: the manifest is too large, malformed, of another format, or contradicts itself.
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
        manifest = Manifest.model_validate_json(file.read_bytes(), strict=True)
    except OSError as err:
        raise PackageError(f"{file}: cannot be read: {err.strerror}") from err
    except ValidationError as err:
        raise PackageError(f"{file}: {describe(err)}") from err
    if wrong := disagreements(manifest):
        raise PackageError(f"{file}: {'; '.join(wrong)}")
    return manifest


def open_package(path: Path) -> Package:
    """Open the package at `path` (see `read_manifest` for what is raised)."""
    return Package(path, read_manifest(path))
