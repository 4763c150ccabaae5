"""One try at a round: choose devices, sum their updates, take the step, say what came of it."""

import time
from collections.abc import Sequence

from splitnet.errors import PeerError
from splitnet.learn.identity import Roster
from splitnet.learn.strategy import (
    CohortSum,
    combine,
    form_cohorts,
    least_cohorts,
    next_parameters,
    sample_devices,
)
from splitnet.learn.vector import model_digest
from splitnet.package import TrainingEntry
from splitnet_server.rounds.account import Account
from splitnet_server.rounds.asking import Asking, StoppedError, patience_of
from splitnet_server.rounds.checkpoint import Checkpoint
from splitnet_server.rounds.fleet import Fleet
from splitnet_server.rounds.folder import JobFolder
from splitnet_server.rounds.job import Job
from splitnet_server.rounds.members import Members
from splitnet_server.rounds.metrics import sample_means
from splitnet_server.rounds.plain_sums import plain_sums
from splitnet_server.rounds.secure_sums import secure_sums
from splitnet_server.rounds.turn import Opening, Undertaking


class AbortedError(PeerError):
    """Too few devices went through all legs; another try may do better."""


class Round:
    """Tries at a job's rounds.

    Args:
        folder: of the job.
        job: what is asked.
        training: whose parameters are learned.
        roster: the fleet, and the document that says so.
        fleet: where devices are asked.
    """

    def __init__(
        self, folder: JobFolder, job: Job, training: TrainingEntry, roster: tuple[Roster, bytes], fleet: Fleet
    ) -> None:
        self._folder = folder
        self._job = job
        self._settings = job.settings
        self._training = training
        self._roster, document = roster
        self._fleet = fleet
        self._members = Members(job.run, self._roster, document, fleet)
        self._account = Account(job.settings, job.ledger)

    def play(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return the checkpoint after the round.

        Raises:
            AbortedError: no sum could be opened, or fewer than the way of combining them needs.
            StoppedError: the job is to stop.
            BudgetError: the round would go beyond the privacy budget.
            UnavailableError: too few devices are connected.
        """
        start = time.monotonic()
        work, asking = self._begin(checkpoint)
        method = secure_sums if self._settings.secure.enabled else plain_sums
        sums = method(
            work, asking, Opening(lambda: self._folder.open_turn(work.turn), lambda: self._account.pay(work))
        )
        self._members.doubt(asking.lost)
        needed = least_cohorts(self._settings.server.combine, self._settings.server.trimmed)
        if len(sums) < needed:
            self._folder.log("aborted", round=work.turn.round, attempt=work.turn.attempt, cohorts=len(sums))
            raise AbortedError(
                f"round {work.turn.round}, attempt {work.turn.attempt}: {len(sums)} of {len(work.cohorts)} "
                f"cohorts kept enough devices, {needed} are needed"
            )
        after = self._step(checkpoint, sums)
        self._folder.save(after)
        self._report(after, work, sums, asking, time.monotonic() - start)
        return after

    def _begin(self, checkpoint: Checkpoint) -> tuple[Undertaking, Asking]:
        """Choose the devices of a new turn."""
        settings, folder = self._settings, self._folder
        nodes = self._members.gather(
            settings.least_devices, patience_of(settings, []).until(lambda: folder.stopped)
        )
        if folder.stopped:
            raise StoppedError("the job was asked to stop")
        turn = folder.next_turn()
        asked = sample_devices(
            nodes, share=settings.share, least=settings.least_devices, seed=settings.seed, round_=turn.round
        )
        sites = self._roster.sites
        work = Undertaking(
            run=self._job.run,
            turn=turn,
            settings=settings,
            parameters=checkpoint.parameters,
            model_digest=model_digest(self._training, checkpoint.parameters),
            cohorts=form_cohorts({device: sites[device] for device in asked}, least=settings.least_devices),
            keys=self._roster.keys,
        )
        self._account.check(work)
        folder.log("began", round=turn.round, attempt=turn.attempt, devices=len(asked), cohorts=len(work.cohorts))
        return work, Asking(self._fleet, nodes, settings, folder, turn)

    def _step(self, checkpoint: Checkpoint, sums: Sequence[CohortSum]) -> Checkpoint:
        server = self._settings.server
        update = combine(self._account.noisy(sums), server.combine, trimmed=server.trimmed)
        parameters, state = next_parameters(checkpoint.parameters, update, settings=server, state=checkpoint.state)
        return Checkpoint(checkpoint.rounds + 1, parameters, state)

    def _report(
        self, after: Checkpoint, work: Undertaking, sums: Sequence[CohortSum], asking: Asking, seconds: float
    ) -> None:
        reports = asking.reports
        self._folder.log(
            "round",
            rounds=after.rounds,
            of=self._settings.rounds,
            round=work.turn.round,
            attempt=work.turn.attempt,
            devices=sum(each.devices for each in sums),
            cohorts=len(sums),
            weight=sum(each.weight for each in sums),
            metrics=sample_means(sums),
            epsilon=self._account.epsilon,
            seconds=round(seconds, 3),
            legs={report.leg: round(report.seconds, 3) for report in reports},
            down_bytes=sum(report.down_bytes for report in reports),
            up_bytes=sum(report.up_bytes for report in reports),
        )
