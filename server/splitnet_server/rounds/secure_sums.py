"""The secure sums of a turn, one for each cohort, whose legs are asked together."""

import logging
import os
from collections.abc import Callable, Mapping

from splitnet.errors import InvalidArgumentError, PeerProtocolError, RefusalError
from splitnet.learn.legs import MASKED, SECURE_LEGS, Done, Leg, LegMessage
from splitnet.learn.secure import Reason, RoundContext, ServerRound
from splitnet.learn.strategy import CohortSum
from splitnet.learn.sum_plan import plan_sum
from splitnet_server.rounds.asking import Asking
from splitnet_server.rounds.turn import Opening, Undertaking

logger = logging.getLogger(__name__)


def secure_sums(work: Undertaking, asking: Asking, opening: Opening) -> list[CohortSum]:
    """Run the legs and return the sums that could be opened, one for each cohort that kept enough devices.

    Args:
        work: what is summed.
        asking: how devices are asked.
        opening: what must be on the disk before.

    Raises:
        RefusalError: a sum of so many devices could overflow.
        StoppedError: the job is to stop.
    """
    cohorts = [_CohortRound(work, cohort) for cohort in work.cohorts]
    questions = work.tasks()
    before: dict[Leg, Callable[[], None]] = {"confirm": opening.settle, "unmask": opening.pay}
    for leg in SECURE_LEGS:
        if questions and leg in before:
            before[leg]()
        groups = [set(questions) & set(cohort.devices) for cohort in cohorts]
        answers = asking.ask(leg, questions, [group for group in groups if group]) if questions else {}
        questions = {}
        for cohort in cohorts:
            cohort.take(answers)
            if leg != SECURE_LEGS[-1]:
                questions |= cohort.next_questions()
    return [opened for cohort in cohorts if (opened := cohort.open()) is not None]


class _CohortRound:
    """One cohort's sum; when too few devices are left, it asks nobody any more and opens nothing."""

    def __init__(self, work: Undertaking, cohort: str) -> None:
        self.devices = work.cohorts[cohort]
        self._name = cohort
        self._place = work.place(cohort)
        plan = plan_sum(work.settings, parameters=len(work.parameters), devices=len(self.devices))
        context = RoundContext(
            work.run, work.turn.round, work.turn.attempt, cohort, work.model_digest, work.settings.digest
        )
        pinned = {device: work.keys[device] for device in self.devices}
        self._least = plan.least_devices
        self._round = ServerRound(context, plan.rules, plan.encoding, pinned)
        self._open = True

    def take(self, answers: Mapping[str, LegMessage]) -> None:
        """Take the answers of this cohort's devices to a leg."""
        for device in self.devices:
            if device in answers:
                self._take(device, answers[device])

    def _take(self, device: str, answer: LegMessage) -> None:
        if (refused := answer.refusal()) is not None:
            self._round.drop(device, refused.message, reason=_reason(refused.refused))
            logger.warning("device %s refuses (%s): %s", device, refused.refused, refused.message)
            return
        try:
            answer.read(Done)
        except PeerProtocolError as err:
            self._round.drop(device, str(err), reason=Reason.MALFORMED)
            return
        if (reason := self._round.receive(device, answer.body, answer.vectors.get(MASKED))) is not None:
            logger.warning("device %s: its message was not taken (%s)", device, reason)

    def next_questions(self) -> dict[str, LegMessage]:
        """End the leg and return what to ask in the next one, by device; nothing if too few are left."""
        if not self._open:
            return {}
        try:
            sent = self._round.advance()
            if len(sent) < self._least:
                raise RefusalError(
                    f"{len(sent)} devices are left, {self._least} are needed",
                    reason=Reason.TOO_FEW_SURVIVORS,
                )
        except RefusalError as err:
            self._give_up(err)
            return {}
        return {device: LegMessage.of(self._place, body) for device, body in sent.items()}

    def open(self) -> CohortSum | None:
        """Return the sum, None if it cannot be opened."""
        if not self._open:
            return None
        try:
            opened = self._round.open(threads=os.cpu_count() or 1)
            return CohortSum(self._name, opened.total, float(opened.weight), len(opened.devices), opened.metrics)
        except (RefusalError, InvalidArgumentError) as err:
            self._give_up(err)
            return None

    def _give_up(self, err: Exception) -> None:
        self._open = False
        logger.warning("cohort %s is left out of round %d: %s", self._name, self._place.round, err)


def _reason(name: str) -> Reason:
    try:
        return Reason(name)
    except ValueError:
        return Reason.ABSENT
