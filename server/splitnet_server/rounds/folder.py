"""A job's folder: what is asked, how far it is, and what came out. Every file in it is whole, whatever crashes."""

import fcntl
import io
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from splitnet.config import describe
from splitnet.errors import ConfigError, NotFoundError, OperatorError
from splitnet.learn.vector import Vector
from splitnet.whole_file import write_whole
from splitnet_server.rounds.checkpoint import Checkpoint
from splitnet_server.rounds.job import NO_TURN, Job, Turn

_LOOK_AGAIN_S = 0.05


class JobFolder:
    """The files of a job.

    Args:
        path: of the folder, which is there.

    Attributes:
        path: as given.
        progress_path: one JSON object a line, appended as things happen.
        result_path: there when the job is over.
        parameters_path: likewise, float32 `[d]`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.progress_path = path / "progress.jsonl"
        self.result_path = path / "result.json"
        self.parameters_path = path / "parameters.npy"
        self._job_path = path / "job.json"
        self._checkpoint_path = path / "checkpoint.npz"
        self._turn_path = path / "turn.json"
        self._stop_path = path / "stop"
        self._lock_path = path / "lock"

    @property
    def exists(self) -> bool:
        """Whether there is a job."""
        return self._job_path.exists()

    def create(self, job: Job, parameters: Vector) -> None:
        """Write a new job that begins with these parameters.

        Raises:
            ConfigError: there is one already.
            OperatorError: the disk refuses.
        """
        if self.exists:
            raise ConfigError(f"{self.path}: holds a job already; take another folder")
        self.save(Checkpoint(0, parameters))
        write_whole((job.model_dump_json(indent=1) + "\n").encode(), self._job_path)

    def job(self) -> Job:
        """Return the job.

        Raises:
            NotFoundError: there is none.
            ConfigError: damaged.
        """
        try:
            return Job.model_validate_json(_read(self._job_path))
        except ValidationError as err:
            raise ConfigError(f"{self._job_path}: not a federated job: {describe(err, Job)}") from err

    def checkpoint(self) -> Checkpoint:
        """Return where the job stands.

        Raises:
            NotFoundError: there is no job.
            ConfigError: damaged.
        """
        return Checkpoint.from_bytes(_read(self._checkpoint_path))

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint; it is on the disk when this returns."""
        write_whole(checkpoint.to_bytes(), self._checkpoint_path)

    def next_turn(self) -> Turn:
        """Return the numbers of a new try; none are given twice, whatever crashes.

        Raises:
            ConfigError: the file of the last try is damaged.
        """
        try:
            last = Turn.model_validate_json(_read(self._turn_path))
        except NotFoundError:
            last = NO_TURN
        except ValidationError as err:
            raise ConfigError(f"{self._turn_path}: damaged: begin the job anew in another folder") from err
        turn = last.next()
        self._write_turn(turn)
        return turn

    def open_turn(self, turn: Turn) -> None:
        """Note that devices are about to be asked to open this round's sums, which they do only once."""
        self._write_turn(turn.model_copy(update={"opened": True}))

    def log(self, event: str, **fields: object) -> None:
        """Append a line to the progress file.

        Raises:
            OperatorError: the disk refuses.
        """
        line = json.dumps({"event": event, **fields}, allow_nan=False) + "\n"
        try:
            with self.progress_path.open("ab") as file:
                file.write(line.encode())
        except OSError as err:
            raise OperatorError(f"{self.progress_path}: cannot be written: {err.strerror}") from err

    def finish(self, result: Mapping[str, object], parameters: Vector) -> None:
        """Write the parameters and then the result, which says that the job is over."""
        content = io.BytesIO()
        np.save(content, parameters, allow_pickle=False)
        write_whole(content.getvalue(), self.parameters_path)
        write_whole((json.dumps(result, indent=1) + "\n").encode(), self.result_path)

    def ask_to_stop(self) -> None:
        """Have the job end soon, with the leg that is under way given up."""
        write_whole(b"", self._stop_path)

    def forget_stop(self) -> None:
        """Take an earlier `ask_to_stop` back, so that the job can go on."""
        self._stop_path.unlink(missing_ok=True)

    @property
    def stopped(self) -> bool:
        """Whether the job was asked to stop."""
        return self._stop_path.exists()

    @property
    def running(self) -> bool:
        """Whether a process runs the job."""
        try:
            with self.locked(within_s=0.0):
                return False
        except OperatorError:
            return True

    @contextmanager
    def locked(self, *, within_s: float = 2.0) -> Iterator[None]:
        """Hold the folder: one process runs a job. The lock ends with the process, however that ends.

        Raises:
            OperatorError: another process holds it for longer than `within_s`.
        """
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(descriptor, time.monotonic() + within_s)
            yield
        finally:
            os.close(descriptor)

    def _take(self, descriptor: int, end: float) -> None:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise OperatorError(f"{self.path}: another process runs this job") from None
                time.sleep(_LOOK_AGAIN_S)
            else:
                return

    def _write_turn(self, turn: Turn) -> None:
        write_whole(turn.model_dump_json().encode(), self._turn_path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as err:
        raise NotFoundError(f"{path}: no such file: not the folder of a federated job") from err
    except OSError as err:
        raise ConfigError(f"{path}: cannot be read: {err.strerror}") from err
