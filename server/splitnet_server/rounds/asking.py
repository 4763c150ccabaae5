"""Asking devices a leg: which node each is, how long it took, how much it moved; a line in the progress file."""

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from splitnet.errors import SplitNetError
from splitnet.learn.legs import Leg, LegMessage
from splitnet.learn.settings import FederatedSettings
from splitnet_server.rounds.fleet import Fleet, Patience
from splitnet_server.rounds.folder import JobFolder
from splitnet_server.rounds.job import Turn


class StoppedError(SplitNetError):
    """The job was asked to stop."""


@dataclass(frozen=True, slots=True)
class LegReport:
    """What a leg took.

    Attributes:
        leg: its name.
        seconds: from the first question to the last answer that counted.
        asked: devices.
        answered: of them, refusals not counted.
        refused: how many refused, by reason.
        down_bytes: of the questions, without the transport's framing.
        up_bytes: of the answers.
    """

    leg: Leg
    seconds: float
    asked: int
    answered: int
    refused: dict[str, int]
    down_bytes: int
    up_bytes: int

    def to_json(self) -> dict[str, object]:
        """Return the report as JSON values."""
        return {
            "leg": self.leg,
            "seconds": round(self.seconds, 3),
            "asked": self.asked,
            "answered": self.answered,
            "refused": self.refused,
            "down_bytes": self.down_bytes,
            "up_bytes": self.up_bytes,
        }


class Asking:
    """The legs of one turn.

    Args:
        fleet: where nodes are asked.
        nodes: node by device.
        settings: whose patience counts.
        folder: for the progress file, and the request to stop.
        turn: whose legs they are.
    """

    def __init__(
        self, fleet: Fleet, nodes: Mapping[str, int], settings: FederatedSettings, folder: JobFolder, turn: Turn
    ) -> None:
        self.reports: list[LegReport] = []
        #: Devices that did not answer, so may be gone.
        self.lost: set[str] = set()
        self._fleet = fleet
        self._nodes = nodes
        self._settings = settings
        self._folder = folder
        self._turn = turn

    def ask(
        self, leg: Leg, questions: Mapping[str, LegMessage], groups: Sequence[Collection[str]]
    ) -> dict[str, LegMessage]:
        """Ask devices and return the answers by device, refusals among them.

        Args:
            leg: what is asked.
            questions: by device.
            groups: of devices; in each of them the quorum is waited for.

        Raises:
            StoppedError: the job is to stop.
        """
        start = time.monotonic()
        nodes = {self._nodes[device]: device for device in questions}
        patience = patience_of(self._settings, [[self._nodes[each] for each in group] for group in groups])
        patience = patience.until(lambda: self._folder.stopped)
        given = self._fleet.ask(leg, {node: questions[device] for node, device in nodes.items()}, patience)
        answers = {nodes[node]: answer for node, answer in given.items() if node in nodes}
        self.lost |= questions.keys() - answers.keys()
        self._report(leg, time.monotonic() - start, questions, answers)
        if self._folder.stopped:
            raise StoppedError("the job was asked to stop")
        return answers

    def _report(
        self, leg: Leg, seconds: float, questions: Mapping[str, LegMessage], answers: Mapping[str, LegMessage]
    ) -> None:
        refusals = [refused for answer in answers.values() if (refused := answer.refusal()) is not None]
        report = LegReport(
            leg=leg,
            seconds=seconds,
            asked=len(questions),
            answered=len(answers) - len(refusals),
            refused=dict(Counter(refusal.refused for refusal in refusals)),
            down_bytes=sum(question.size_bytes for question in questions.values()),
            up_bytes=sum(answer.size_bytes for answer in answers.values()),
        )
        self.reports.append(report)
        self._folder.log("leg", round=self._turn.round, attempt=self._turn.attempt, **report.to_json())


def patience_of(settings: FederatedSettings, groups: Sequence[Collection[int]]) -> Patience:
    """Return the patience that the settings ask for."""
    return Patience(groups, settings.quorum, settings.grace_s, settings.leg_s)
