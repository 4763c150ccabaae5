"""A package with other parameters: put by name into the segments that learn them, everything else as it was."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from splitnet.errors import InvalidArgumentError, PackageError
from splitnet.graph import WEIGHTS_FOLDER, WeightsFile, read_initialisers, with_initialisers
from splitnet.learn.vector import Vector, unflatten
from splitnet.package import (
    MAX_VERSION,
    Content,
    Manifest,
    Package,
    SegmentEntry,
    TrainingEntry,
    WeightsEntry,
)
from splitnet.tensors import Tensors
from splitnet.tiers import Tier

_PART_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Revision:
    """What a package of the next version holds.

    Attributes:
        manifest: with the next version and its files; exits and plans still say what the version before does.
        files: by path inside the package.
    """

    manifest: Manifest
    files: Mapping[str, Content]


def trained(manifest: Manifest) -> TrainingEntry:
    """Return what learns in a package.

    Raises:
        InvalidArgumentError: nothing does.
    """
    if not manifest.training:
        raise InvalidArgumentError(
            f"nothing in the package of {manifest.model.name!r} can be trained; make it with `splitnet partition "
            "--trainable exits`"
        )
    return manifest.training[0]


def revise(package: Package, parameters: Vector) -> Revision:
    """Return `package` as the next version, with other parameters.

    Args:
        package: the running version.
        parameters: float32 `[d]`, in the order of the manifest's training entry.

    Raises:
        InvalidArgumentError: nothing in the package can be trained, the vector does not fit or is not finite.
        PackageError: a file is missing or altered, or the segments do not agree on what a parameter is.
        ModelError: a segment cannot be read.
    """
    manifest = package.manifest
    training = trained(manifest)
    if not np.isfinite(parameters).all():
        raise InvalidArgumentError("parameters: some are infinite or no numbers; nothing is made of such a round")
    if manifest.model.version >= MAX_VERSION:
        raise InvalidArgumentError(f"version {manifest.model.version} is the highest that there can be")
    values = unflatten(training.parameters, parameters)
    before: Tensors = {}
    unchanged = [*training.files, *([manifest.backup] if manifest.backup is not None else [])]
    segments, files = [], _copies(package, {entry.file for entry in unchanged})
    for segment in manifest.segments:
        learns = training.scope == "exits" or segment.tier == _tier_of(manifest, training.segment)
        entry, content = _revised(package, segment, values if learns else {}, before)
        segments.append(entry)
        files |= content
    if missing := sorted(values.keys() - before.keys()):
        raise PackageError(f"{package.path}: no segment holds the parameters {missing}; make the package anew")
    model = manifest.model.model_copy(update={"version": manifest.model.version + 1})
    return Revision(manifest.model_copy(update={"model": model, "segments": tuple(segments)}), files)


def _tier_of(manifest: Manifest, segment: str) -> Tier:
    """Return where a segment runs: tiers above that compute a trunk once more keep theirs, if it learned."""
    return next(entry.tier for entry in manifest.segments if entry.id == segment)


def _revised(
    package: Package, segment: SegmentEntry, values: Tensors, before: Tensors
) -> tuple[SegmentEntry, dict[str, Content]]:
    """Return a segment with `values` in it, and its files; what it held is added to `before`."""
    package.read_segment(segment)  # which verifies it
    path = package.path / segment.file
    there = read_initialisers(path, values)
    for name, array in there.items():
        if not np.array_equal(before.setdefault(name, array), array, equal_nan=True):
            raise PackageError(
                f"{path}: {name!r} is another tensor than in a segment before; make the package anew"
            )
    if not there:
        return segment, _copies(package, {segment.file, *(entry.file for entry in segment.weights)})
    content, beside = with_initialisers(path, {name: values[name] for name in there}, beside=bool(segment.weights))
    folder = PurePosixPath(segment.file).parent / WEIGHTS_FOLDER
    weights = {str(folder / file.name): file for file in beside}
    entry = segment.model_copy(
        update={
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_bytes": len(content),
            "weights": tuple(_weights_entry(file, weights[file]) for file in weights),
        }
    )
    return entry, {segment.file: content} | {name: file.parts for name, file in weights.items()}


def _weights_entry(path: str, file: WeightsFile) -> WeightsEntry:
    return WeightsEntry(file=path, sha256=file.sha256, size_bytes=file.size_bytes)


def _copies(package: Package, names: set[str]) -> dict[str, Content]:
    return {name: _Copy(package.path / name) for name in names}


@dataclass(frozen=True, slots=True)
class _Copy:
    """A file's content, read when it is written; a package's writer holds it against its digest."""

    path: Path

    def __call__(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                while part := file.read(_PART_BYTES):
                    yield part
        except OSError as err:
            raise PackageError(f"{self.path}: cannot be read: {err.strerror}; copy the package again") from err
