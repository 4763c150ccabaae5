"""Training in a process of its own: it ends in time or is killed, and its memory goes with it."""

import subprocess
import sys
from typing import Any

from splitnet import errors
from splitnet.errors import DeadlineExceededError, OperatorError, RefusalError, SplitNetError
from splitnet.learn.local.frame import Header, pack, unpack
from splitnet.learn.local.job import LocalJob, LocalUpdate


def run_training(job: LocalJob, timeout_s: float) -> LocalUpdate:
    """Train in another process, which loads onnxruntime and numpy but no training framework.

    Job and update pass through pipes: the update is on no disk.

    Args:
        job: what to train.
        timeout_s: the process is killed after so many seconds.

    Raises:
        DeadlineExceededError: it took longer.
        OperatorError: it was killed, as for want of memory, or failed.
        SplitNetError: as `train` raises.
    """
    command = [sys.executable, "-m", "splitnet.learn.local"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603
        try:
            frame, _ = process.communicate(pack(_header(job, timeout_s), job.parameters), timeout_s)
        except subprocess.TimeoutExpired as err:
            raise DeadlineExceededError(
                f"training did not end within {timeout_s:g} s; allow more, or fewer epochs or samples"
            ) from err
        finally:
            process.kill()  # nothing happens to one that has ended
    if process.returncode != 0:
        raise OperatorError(_end(process.returncode))
    return _update(frame)


def _header(job: LocalJob, timeout_s: float) -> Header:
    return {
        "package": str(job.package),
        "store": str(job.store),
        "settings": job.settings.model_dump(mode="json"),
        "clip": job.clip,
        "seed": job.seed,
        "round": job.round,
        "most_samples": job.most_samples,
        "state": None if job.state is None else str(job.state),
        "package_key": None if job.package_key is None else str(job.package_key),
        "timeout_s": timeout_s,
    }


def _end(code: int) -> str:
    if code < 0:
        return f"the training process was killed by signal {-code}; 9 is what a machine out of memory sends"
    return f"the training process failed with exit code {code}; standard error says why"


def _update(frame: bytes) -> LocalUpdate:
    try:
        header, vector = unpack(frame)
    except ValueError as err:
        raise OperatorError(f"the training process sent no update: {err}") from err
    if "error" in header:
        raise _error(header)
    return LocalUpdate(vector, header["samples"], header["metrics"], header["skipped"])


def _error(header: Header) -> SplitNetError:
    kind: Any = getattr(errors, header["error"], SplitNetError)
    if kind is RefusalError:
        return RefusalError(header["message"], reason=header["reason"])
    error: SplitNetError = kind(header["message"])
    return error
