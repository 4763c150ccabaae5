"""The package that faults are tried on: small, an exit on every tier, and samples that all go up to the cloud."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from splitnet.cost import default_site
from splitnet.partition import PartitionOptions, partition
from splitnet.tensors import Array
from tests.programs.classifier import CUTS, LAYERS, NAME, WholeModel, build, draw

#: How far an answer may be from the whole model's, absolutely; the samples' answers differ by far more.
CLOSE = 1e-4
# So many that a tier which keeps its latest hundred answers has none of them when it is asked again.
_DRAWN, _LEAST = 20_000, 600


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked, and what each tier should say to it.

    Attributes:
        package: directory of the package.
        x: `[samples, features]` float32, of which no tier below the cloud is sure.
        answers: what the exit of each tier answers, `[samples, classes]`, by tier.
    """

    package: Path
    x: Array
    answers: dict[str, Array]

    def right(self, sample: int, tier: str, y: Array) -> bool:
        """Whether there is such a tier, and `y` `[1, classes]` is what it says to that sample."""
        return tier in self.answers and bool(np.allclose(y[0], self.answers[tier][sample], rtol=0.0, atol=CLOSE))


def make(folder: Path) -> Asked:
    """Cut the classifier in three, and choose samples that no early exit is sure of."""
    model, calibration = folder / "model.onnx", folder / "calibration.npz"
    model.write_bytes(build())
    x, labels = draw(1500, seed=2)
    np.savez(calibration, x=x, labels=labels)
    job = PartitionOptions(
        model,
        folder / "faults.split",
        default_site(),
        name=NAME,
        calibration=calibration,
        cuts=CUTS,
        codec="none",
        epsilon=0.02,
        profile_s=0.05,
    )
    result = partition(job)
    whole = WholeModel(model.read_bytes())
    drawn, _ = draw(_DRAWN, seed=5)
    values = whole.run(drawn)
    exits = result.package.manifest.exits
    unsure = [values[entry.confidence] < entry.threshold - 1e-4 for entry in exits]
    asked = drawn[np.all(unsure, axis=0)]
    assert len(asked) >= _LEAST
    answered = whole.run(asked)
    tiers = zip(("device", "edge", "cloud"), LAYERS, strict=True)
    return Asked(result.package.path, asked, {tier: answered[head] for tier, (_, head, _) in tiers})
