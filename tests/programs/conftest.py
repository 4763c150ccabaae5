"""The packages that the programs are run on, made once a test run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splitnet.cost import default_site
from splitnet.package import Manifest, read_manifest
from splitnet.partition import PartitionOptions, partition
from splitnet.tensors import Array
from tests.programs.classifier import CUTS, NAME, WholeModel, build, draw
from tests.programs.processes import Program, running


@dataclass(frozen=True, slots=True)
class Packages:
    """One model, packaged in several ways.

    Attributes:
        model: the ONNX file.
        calibration: the calibration data.
        split: cut in three, exits on device and edge, wires as they are.
        u8: the same with wires of 8 bits, hence another plan.
        all_cloud: everything in the cloud.
        all_device: everything on the device.
    """

    model: Path
    calibration: Path
    split: Path
    u8: Path
    all_cloud: Path
    all_device: Path

    @property
    def manifest(self) -> Manifest:
        """The manifest of `split`."""
        return read_manifest(self.split)


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    folder = tmp_path_factory.mktemp("packages")
    model, calibration = folder / "model.onnx", folder / "calibration.npz"
    model.write_bytes(build())
    x, labels = draw(1500, seed=2)
    np.savez(calibration, x=x, labels=labels)

    def make(name: str, **options: Any) -> Path:
        job = PartitionOptions(
            model,
            folder / f"{name}.split",
            default_site(),
            name=NAME,
            calibration=calibration,
            epsilon=0.02,
            profile_s=0.05,
            **options,
        )
        return partition(job).package.path

    return Packages(
        model=model,
        calibration=calibration,
        split=make("split", cuts=CUTS, codec="none"),
        u8=make("u8", cuts=CUTS, codec="u8"),
        all_cloud=make("all_cloud", place="all-cloud", codec="none"),
        all_device=make("all_device", place="all-device", codec="none"),
    )


@pytest.fixture(scope="session")
def whole(packages: Packages) -> WholeModel:
    return WholeModel(packages.model.read_bytes())


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples whose confidences are not within rounding of a threshold, so that each one's exit is certain.

    Attributes:
        x: `[n, FEATURES]` float32.
        labels: `[n]`.
        exits: the tier that answers each, by the routing rule.
        y: the answer of each.
    """

    x: Array
    labels: Array
    exits: tuple[str, ...]
    y: Array

    def at(self, tier: str, count: int = 1) -> Array:
        """Return the first `count` samples that `tier` answers."""
        which = [index for index, exit_tier in enumerate(self.exits) if exit_tier == tier]
        return self.x[which[:count]]


@pytest.fixture(scope="session")
def samples(packages: Packages, whole: WholeModel) -> Samples:
    manifest = packages.manifest
    x, labels = draw(220, seed=5)
    values = whole.run(x)
    margins = [np.abs(values[entry.confidence] - entry.threshold) for entry in manifest.exits]
    certain = np.flatnonzero(np.min(margins, axis=0) > 1e-5)[:200]
    assert len(certain) == 200
    expected = whole.routed(x[certain], manifest)
    assert {expected.exits.count(tier) >= 20 for tier in ("device", "edge", "cloud")} == {True}
    return Samples(x[certain], labels[certain], expected.exits, expected.y)


@pytest.fixture(scope="session")
def uncached() -> Sequence[str]:
    """Options of an edge that computes the same content anew, for tests that ask for it again and again."""
    return ("--no-cache",)


@dataclass(frozen=True, slots=True)
class Service:
    """A cloud and an edge that serve `split`, for tests that leave them as they are."""

    cloud: Program
    edge: Program


@pytest.fixture(scope="session")
def service(packages: Packages) -> Iterator[Service]:
    with (
        running("cloud", package=packages.split) as cloud,
        running("edge", package=packages.split, upstream=cloud.address) as edge,
    ):
        yield Service(cloud, edge)
        assert "Traceback" not in cloud.logged() + edge.logged()
