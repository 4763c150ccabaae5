"""A fleet in this process: the devices of a try-out answer directly, and tests decide who is lost when."""

from collections.abc import Callable, Collection, Mapping

from splitnet.learn.legs import Leg, LegMessage
from splitnet.learn.local import LocalJob, LocalUpdate, train
from splitnet_device.federated import Participant
from splitnet_server.rounds import Patience
from tests.federated.world import World

#: Called before a device is asked: leg, its number, the question; False loses the question.
Reaches = Callable[[Leg, int, LegMessage], bool]


def _train(job: LocalJob, _timeout_s: float) -> LocalUpdate:
    """Train in this process, which saves the start of another."""
    return train(job)


class MemoryFleet:
    """Node 100 + i is device i. What was said is kept."""

    def __init__(self, world: World, reaches: Reaches = lambda _leg, _device, _question: True) -> None:
        self.said: list[tuple[Leg, int, LegMessage, LegMessage]] = []
        self._reaches = reaches
        self._participants = {
            100 + int(name): Participant(path, bytes([int(name)]) * 32, 100 + int(name), _train)
            for name, path in world.fleet.states.items()
        }

    def nodes(self) -> Collection[int]:
        return self._participants.keys()

    def participant(self, device: int) -> Participant:
        return self._participants[100 + device]

    def ask(self, leg: Leg, questions: Mapping[int, LegMessage], patience: Patience) -> dict[int, LegMessage]:
        answers = {}
        for node, question in questions.items():
            if patience.stopped():
                break
            if self._reaches(leg, node - 100, question):
                answers[node] = self._participants[node].answer(leg, question)
                self.said.append((leg, node - 100, question, answers[node]))
        return answers
