"""A package whose exit learns, made once for all tests of federated rounds."""

import warnings

import numpy as np
import pytest

with warnings.catch_warnings():
    # Flower imports typer, which imports what Click 8.2 deprecates.
    warnings.simplefilter("ignore", DeprecationWarning)
    import flwr.app  # noqa: F401

from splitnet.cost import default_site
from splitnet.partition import PartitionOptions, partition
from tests.federated.world import Trainable
from tests.programs.classifier import CUTS, NAME, build, draw


@pytest.fixture(scope="session")
def trainable(tmp_path_factory: pytest.TempPathFactory) -> Trainable:
    folder = tmp_path_factory.mktemp("federated")
    model, calibration = folder / "model.onnx", folder / "calibration.npz"
    model.write_bytes(build())
    x, labels = draw(1500, seed=2)
    np.savez(calibration, x=x, labels=labels)
    options = PartitionOptions(
        model,
        folder / "classifier.split",
        default_site(),
        name=NAME,
        calibration=calibration,
        cuts=CUTS,
        codec="none",
        epsilon=0.02,
        profile_s=0.05,
        trainable="exits",
    )
    return Trainable(partition(options).package.path, folder / "stores")
