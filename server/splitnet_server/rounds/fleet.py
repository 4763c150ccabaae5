"""The fleet as rounds see it: nodes that are asked a leg together, some of whom answer in time."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from splitnet.learn.legs import Leg, LegMessage


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a leg waits.

    Attributes:
        groups: of nodes; the quorum must be reached in each.
        quorum: share of a group whose answers are waited for.
        grace_s: how much longer the rest has, seconds.
        leg_s: after which the leg ends with what it has, seconds.
        stopped: whether the job is to stop; asked often.
    """

    groups: Sequence[Collection[int]]
    quorum: float
    grace_s: float
    leg_s: float
    stopped: Callable[[], bool] = lambda: False

    def until(self, stopped: Callable[[], bool]) -> "Patience":
        """Return the same patience, which ends when the job is to stop."""
        return replace(self, stopped=stopped)

    def has_quorum(self, answered: Collection[int]) -> bool:
        """Whether in each group the quorum has answered."""
        heard = set(answered)
        return all(len(heard.intersection(group)) >= self.quorum * len(group) - 1e-9 for group in self.groups)


class Fleet(Protocol):
    """Where devices are asked; `splitnet_server.server_app` has the one over Flower."""

    def nodes(self) -> Collection[int]:
        """Return the nodes that are connected, as far as is known."""

    def ask(self, leg: Leg, questions: Mapping[int, LegMessage], patience: Patience) -> dict[int, LegMessage]:
        """Ask nodes and return the answers by node, refusals among them.

        Who is not in it did not answer in time; a later answer is dropped. A node whose app failed without a word
        has a refusal "failed".
        """
