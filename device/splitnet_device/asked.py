"""A request as the session took it, from its beginning to its end."""

from dataclasses import dataclass

from splitnet.deadline import Deadline
from splitnet.tensors import Tensors
from splitnet.tier import Question
from splitnet_device.backup import Backup
from splitnet_device.running import RunningPlan, RunningVersion


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A request as the session took it.

    Attributes:
        id: the same on every tier.
        inputs: the model's, by name.
        samples: of the request.
        deadline: by when it is answered.
        start_s: when it came, `time.monotonic()` seconds.
        running: the version that answers.
        plan: of that version.
    """

    id: str
    inputs: Tensors
    samples: int
    deadline: Deadline
    start_s: float
    running: RunningVersion
    plan: RunningPlan

    @property
    def backup(self) -> Backup | None:
        """What answers where nobody else can; None where an exit is in hand, or there is no backup model."""
        return self.running.backup_of(self.plan)

    @property
    def is_kept(self) -> bool:
        """Whether the answer is kept for when nothing is left: where neither an exit nor a backup model is."""
        return not self.plan.has_answer and self.backup is None

    @property
    def question(self) -> Question:
        """The request as it is looked for among kept answers; any plan of the version may have given them."""
        model = self.running.manifest.model
        return Question((model.name, str(model.version)), self.inputs)
