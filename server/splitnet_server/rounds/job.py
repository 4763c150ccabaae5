"""What a job is asked to do, and how its tries at rounds are numbered."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from splitnet.config import Frozen
from splitnet.learn.settings import FederatedSettings
from splitnet.signing import PublicKey


class Job(Frozen):
    """A job.

    Attributes:
        run: its name, the same through all restarts; devices answer nothing of it twice.
        package: directory of the package whose training it is, absolute.
        roster: the operator's signed roster, absolute.
        operator: the operator's raw public key.
        ledger: what was spent of the privacy of the fleet's data, absolute; shared by the fleet's jobs.
        settings: the rest.
    """

    format: Literal["splitnet/federated-job/1"] = "splitnet/federated-job/1"
    run: Annotated[str, Field(min_length=1, max_length=64)]
    package: Path
    roster: Path
    operator: PublicKey
    ledger: Path
    settings: FederatedSettings


class Turn(Frozen):
    """One try at one round, as devices number them.

    Attributes:
        round: from 1. A device helps to open each number once, so a round whose opening failed is tried again
            under the next number.
        attempt: at it, from 1.
        opened: whether devices were asked to open it.
    """

    round: int
    attempt: int
    opened: bool = False

    def next(self) -> "Turn":
        """Return the numbers of the next try."""
        if self.opened:
            return Turn(round=self.round + 1, attempt=1)
        return Turn(round=self.round, attempt=self.attempt + 1)


#: Before the first try.
NO_TURN = Turn(round=0, attempt=0, opened=True)
