"""What rounds need: a trainable package, devices with samples, a job, and the update that each should send."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from splitnet.cli.federate_job import initial_parameters
from splitnet.emulate.fleet import TryOutDevice, TryOutFleet, make_fleet
from splitnet.learn.local import LocalJob, LocalUpdate, train
from splitnet.learn.settings import FederatedSettings
from splitnet.learn.store import Limits, Sample, SampleKeeper, Signature
from splitnet.learn.vector import Vector
from splitnet.package import open_package
from splitnet_server.rounds import Job, JobFolder
from tests.programs.classifier import CLASSES, NAME, draw


@dataclass(frozen=True, slots=True)
class Trainable:
    """A package whose device's exit learns, and a folder for stores of samples."""

    path: Path
    stores: Path

    @property
    def start(self) -> Vector:
        return initial_parameters(open_package(self.path))

    def store(self, number: int) -> Path:
        """A store of 40 samples and some, different for each number, whose teacher knows the labels."""
        path = self.stores / f"{number}.db"
        if not path.exists():
            self.stores.mkdir(exist_ok=True)
            count = 40 + number
            x, labels = draw(count, seed=1000 + number)
            teacher = np.full((count, CLASSES), 0.02, np.float32)
            teacher[np.arange(count), labels] = 1 - 0.02 * (CLASSES - 1)
            signature = Signature.of(open_package(self.path).manifest, CLASSES)
            with SampleKeeper(path, signature, Limits(2**22)) as keeper:
                keeper.add(
                    [
                        Sample(i, signature.pack({"x": x}, i), teacher[i], "cloud", None, time_s=float(i))
                        for i in range(count)
                    ]
                )
        return path


@dataclass(frozen=True, slots=True)
class World:
    """A fleet and a job for it."""

    trainable: Trainable
    fleet: TryOutFleet
    folder: JobFolder
    settings: FederatedSettings

    def update(self, number: int, parameters: Vector, round_: int) -> LocalUpdate:
        """What device `number` learns in a round: training is the same wherever it is done.

        So a test can hold the secure sum against the plain sum of the very updates, which no device gives away.
        """
        settings = self.settings
        job = LocalJob(
            package=self.trainable.path,
            store=self.trainable.store(number),
            parameters=parameters,
            settings=settings.local,
            clip=settings.clip,
            seed=settings.seed,
            round=round_,
            most_samples=settings.most_samples,
        )
        return train(job)

    def plain_mean(self, numbers: Sequence[int], parameters: Vector, round_: int) -> NDArray[np.float64]:
        """The weighted mean of these devices' updates in a round, float64 `[d]`."""
        updates = [self.update(number, parameters, round_) for number in numbers]
        total = np.zeros(len(parameters))
        for update in updates:
            total += update.samples * update.delta.astype(np.float64)
        return total / sum(update.samples for update in updates)


def make_world(
    folder: Path,
    trainable: Trainable,
    settings: FederatedSettings,
    *,
    sites: Sequence[str],
    terms: Mapping[str, object] | None = None,
) -> World:
    """Make a fleet of one device a site given, named by their numbers from 0, and a new job in `folder`."""
    devices = [TryOutDevice(str(i), site, trainable.store(i)) for i, site in enumerate(sites)]
    fleet = make_fleet(folder / "fleet", trainable.path, devices, model=NAME, terms=terms or {})
    (folder / "job").mkdir()
    job = JobFolder(folder / "job")
    job.create(
        Job(
            run=folder.name[-64:],
            package=trainable.path,
            roster=fleet.roster,
            operator=fleet.operator,
            ledger=folder / "ledger.json",
            settings=settings,
        ),
        trainable.start,
    )
    return World(trainable, fleet, job, settings)
