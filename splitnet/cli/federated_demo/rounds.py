"""The demo's rounds: real Flower processes on this machine, and the first sum once more in the clear."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splitnet.emulate.federation import LocalFederation
from splitnet.emulate.fleet import TryOutFleet
from splitnet.errors import DeadlineExceededError, NotFoundError, OperatorError
from splitnet.learn.local import LocalJob, run_training
from splitnet.learn.settings import FederatedSettings
from splitnet.learn.vector import Vector
from splitnet_server.rounds import Checkpoint, JobFolder

_TIMEOUT_S = 600.0
_LOOK_AGAIN_S = 0.2
_TRAINING_S = 60.0


@dataclass(frozen=True, slots=True)
class Learned:
    """What the rounds came to.

    Attributes:
        parameters: float32 `[d]`.
        rounds: that were completed.
        clients: devices in the last of them.
        learned_from: samples in the last of them.
        seconds: of a round, the median.
        bytes_per_device: of a device in a round, both ways, the median, without Flower's framing.
        sum_error: largest difference between the first round's mean update by the secure sum and the mean of
            the same updates in the clear.
    """

    parameters: Vector
    rounds: int
    clients: int
    learned_from: int
    seconds: float
    bytes_per_device: float
    sum_error: float


@dataclass(frozen=True, slots=True)
class Task:
    """What is learned, and where.

    Attributes:
        folder: for the federation's files and the job's; made if missing.
        package: what is trained.
        settings: of the job; the server adds the mean update as it is.
    """

    folder: Path
    package: Path
    settings: FederatedSettings


def learn(task: Task, fleet: TryOutFleet, stores: Mapping[str, Path], on_round: Callable[[int], None]) -> Learned:
    """Run a federated job over Flower's own processes, and check its first sum.

    Args:
        task: the job.
        fleet: who learns.
        stores: each device's samples, by its name.
        on_round: called with the number of rounds that are done.

    Raises:
        OperatorError: the job fails.
        DeadlineExceededError: it takes longer than ten minutes.
    """
    task.folder.mkdir(parents=True, exist_ok=True)
    job = task.folder / "job"
    with LocalFederation(task.folder / "flower", fleet.nodes) as federation:
        checkpoints = _run(_command(task, fleet, federation.address), job, on_round)
    ended = [event for event in _events(JobFolder(job)) if event["event"] == "round"]
    first, last = checkpoints[0], checkpoints[max(checkpoints)]
    secure = checkpoints[1].parameters.astype(np.float64) - first.parameters
    plain = _plain_mean(task, stores.values(), first.parameters)
    return Learned(
        parameters=last.parameters,
        rounds=last.rounds,
        clients=ended[-1]["devices"],
        learned_from=round(ended[-1]["weight"]),
        seconds=float(np.median([event["seconds"] for event in ended])),
        bytes_per_device=float(
            np.median([(event["down_bytes"] + event["up_bytes"]) / event["devices"] for event in ended])
        ),
        sum_error=float(np.abs(secure - plain).max()),
    )


def _command(task: Task, fleet: TryOutFleet, superlink: str) -> list[str]:
    settings = task.folder / "settings.json"
    settings.write_text(task.settings.model_dump_json())
    return [
        *(sys.executable, "-m", "splitnet", "federate", "run", "--package", str(task.package)),
        *("--roster", str(fleet.roster), "--operator", str(fleet.roster.parent / "operator")),
        *("--settings", str(settings), "--superlink", superlink, "--output", str(task.folder / "job"), "--json"),
    ]


def _run(command: list[str], job: Path, on_round: Callable[[int], None]) -> dict[int, Checkpoint]:
    """Run the job to its end and return its checkpoints by the number of rounds before them."""
    found: dict[int, Checkpoint] = {}
    end = time.monotonic() + _TIMEOUT_S
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:  # noqa: S603
        try:
            while process.poll() is None:
                _look(job, found, on_round)
                if time.monotonic() > end:
                    raise DeadlineExceededError(f"the rounds did not end within {_TIMEOUT_S:.0f} s")
                time.sleep(_LOOK_AGAIN_S)
        finally:
            process.kill()
    _look(job, found, on_round)
    if process.returncode != 0 or not found.keys() >= {0, 1}:
        raise OperatorError(
            f"the federated job ended with {process.returncode} after {max(found, default=0)} rounds"
        )
    return found


def _look(job: Path, found: dict[int, Checkpoint], on_round: Callable[[int], None]) -> None:
    try:
        checkpoint = JobFolder(job).checkpoint()
    except NotFoundError:
        return
    if checkpoint.rounds not in found:
        found[checkpoint.rounds] = checkpoint
        on_round(checkpoint.rounds)


def _plain_mean(task: Task, stores: Iterable[Path], parameters: Vector) -> NDArray[np.float64]:
    """Return the weighted mean of the first round's updates, which training gives again from the same samples."""
    settings, total, weight = task.settings, np.zeros(len(parameters)), 0
    for store in stores:
        job = LocalJob(
            package=task.package,
            store=store,
            parameters=parameters,
            settings=settings.local,
            clip=settings.clip,
            seed=settings.seed,
            round=1,
            most_samples=settings.most_samples,
        )
        try:
            update = run_training(job, _TRAINING_S)
        except NotFoundError:  # too few samples: it took no part either
            continue
        samples = min(update.samples, settings.most_samples)
        total += samples * update.delta.astype(np.float64)
        weight += samples
    return total / weight


def _events(job: JobFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in job.progress_path.read_text().splitlines()]
