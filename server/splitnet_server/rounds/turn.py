"""What one turn sums: whose updates, of which model, under which settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from splitnet.learn.legs import PARAMETERS, LegMessage, Place, Task
from splitnet.learn.settings import FederatedSettings
from splitnet.learn.vector import Vector
from splitnet_server.rounds.job import Turn


@dataclass(frozen=True, slots=True)
class Opening:
    """What must be on the disk before a sum is seen.

    Attributes:
        settle: to be called before devices agree to open this round, which they do for one attempt only.
        pay: to be called before anything is revealed.
    """

    settle: Callable[[], None]
    pay: Callable[[], None]


@dataclass(frozen=True, slots=True, eq=False)
class Undertaking:
    """A turn with all that it needs.

    Attributes:
        run: name of the job.
        turn: its numbers.
        settings: of the job.
        parameters: that devices begin with, float32 `[d]`.
        model_digest: of the training and these parameters, 32 bytes.
        cohorts: devices by cohort.
        keys: raw public keys of the fleet by device.
    """

    run: str
    turn: Turn
    settings: FederatedSettings
    parameters: Vector
    model_digest: bytes
    cohorts: Mapping[str, tuple[str, ...]]
    keys: Mapping[str, bytes]

    def place(self, cohort: str) -> Place:
        """Return where messages of a cohort's sum belong."""
        return Place(run=self.run, round=self.turn.round, attempt=self.turn.attempt, cohort=cohort)

    def tasks(self) -> dict[str, LegMessage]:
        """Return what each device is asked to train, by device."""
        tasks: dict[str, LegMessage] = {}
        for cohort, devices in self.cohorts.items():
            task = Task(place=self.place(cohort), devices=len(devices), settings=self.settings)
            message = LegMessage.of(task, vectors={PARAMETERS: self.parameters})
            tasks |= dict.fromkeys(devices, message)
        return tasks
