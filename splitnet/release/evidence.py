"""What a candidate is made and judged on: samples that have not trained the exits which they judge."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from splitnet.learn.heads import divide
from splitnet.package import Package
from splitnet.samples import Samples, read_samples


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a candidate is made and judged on.

    Attributes:
        calibration: chooses the thresholds; must not have trained the model.
        judged: judges both versions; None judges on `calibration`, which favours the candidate by as much as its
            thresholds were fitted to it.
    """

    calibration: Samples
    judged: Samples | None = None


def read_evidence(package: Package, calibration: Path, judged: Path | None = None) -> Evidence:
    """Read samples for a candidate of `package`.

    Of the very file that trained the package's exits when the model was cut, only the samples are taken that were
    kept from that.

    Args:
        package: the running version.
        calibration: `.npz` file; see `read_samples`.
        judged: another one, or None.

    Raises:
        NotFoundError: there is no such file.
        InvalidArgumentError: it does not fit the model.
    """
    return Evidence(_read(package, calibration), None if judged is None else _read(package, judged))


def _read(package: Package, path: Path) -> Samples:
    specs = tuple(entry.to_spec() for entry in package.manifest.model.inputs)
    samples = read_samples(path, specs)
    for training in package.manifest.training:
        kept = training.held_out
        if kept is not None and kept.sha256 == _digest(path):
            return divide(samples, held_out=kept.samples, seed=kept.seed).held_out
    return samples


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
