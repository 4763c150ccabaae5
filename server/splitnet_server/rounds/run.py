"""A job from where its folder says that it stands to its result: rounds, each tried until its sums open."""

import logging
from pathlib import Path

from splitnet.errors import ConfigError, SplitNetError, UnavailableError
from splitnet.learn.identity import read_roster
from splitnet.package import TrainingEntry, read_manifest
from splitnet_server.rounds.account import BudgetError
from splitnet_server.rounds.asking import StoppedError
from splitnet_server.rounds.checkpoint import Checkpoint
from splitnet_server.rounds.fleet import Fleet
from splitnet_server.rounds.folder import JobFolder
from splitnet_server.rounds.round import AbortedError, Round

logger = logging.getLogger(__name__)

#: Tries at a round before the job gives up.
MOST_TRIES = 5


def run_job(path: Path, fleet: Fleet) -> None:
    """Run the job of a folder from its last checkpoint until it is done, stopped or cannot go on.

    The end is a line of the progress file: "finished", "stopped" or "failed"; a process that dies leaves none.

    Args:
        path: of the folder.
        fleet: the devices.

    Raises:
        SplitNetError: the job cannot go on; it is also logged as "failed".
    """
    folder = JobFolder(path)
    with folder.locked():
        try:
            _play(folder, fleet)
        except StoppedError:
            folder.log("stopped", rounds=folder.checkpoint().rounds)
        except SplitNetError as err:
            folder.log("failed", error=str(err))
            raise


def _play(folder: JobFolder, fleet: Fleet) -> None:
    job, checkpoint = folder.job(), folder.checkpoint()
    document = job.roster.read_bytes()
    roster = read_roster(document, job.operator)
    rounds = Round(folder, job, _training(job.package), (roster, document), fleet)
    folder.log("started", run=job.run, rounds=checkpoint.rounds, of=job.settings.rounds)
    ended = "all rounds are done"
    while checkpoint.rounds < job.settings.rounds:
        try:
            checkpoint = _one_round(rounds, checkpoint, folder)
        except BudgetError as err:
            ended = str(err)
            break
    result = {"run": job.run, "rounds": checkpoint.rounds, "of": job.settings.rounds, "ended": ended}
    folder.finish(result, checkpoint.parameters)
    folder.log("finished", **result)


def _one_round(rounds: Round, checkpoint: Checkpoint, folder: JobFolder) -> Checkpoint:
    for _ in range(MOST_TRIES):
        try:
            return rounds.play(checkpoint)
        except AbortedError as err:
            logger.warning("%s", err)
    raise UnavailableError(
        f"a round failed {MOST_TRIES} times, since too few devices went through all of its legs; "
        f"{folder.progress_path} says in which legs they were lost, and why"
    )


def _training(package: Path) -> TrainingEntry:
    entries = read_manifest(package).training
    if not entries:
        raise ConfigError(f"{package}: nothing in it is trainable; partition with --trainable exits")
    return entries[0]
