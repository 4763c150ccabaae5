"""`python -m splitnet.learn.local`: a job by standard input, its update by standard output, each a frame."""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from splitnet.errors import RefusalError, SplitNetError
from splitnet.learn.local.frame import pack, unpack
from splitnet.learn.local.job import LocalJob
from splitnet.learn.local.train import train
from splitnet.learn.settings import LocalSettings

# The parent kills at its deadline; should it be gone by then, the kernel does so a little later.
_GRACE_S = 5.0

# Serving goes first.
_NICE = 10


def main() -> None:
    """Train once."""
    # The update goes where nobody prints: whatever a library writes to standard output joins the log.
    output = os.dup(1)
    os.dup2(2, 1)
    os.nice(_NICE)
    header, parameters = unpack(sys.stdin.buffer.read())
    signal.setitimer(signal.ITIMER_REAL, header["timeout_s"] + _GRACE_S)
    job = LocalJob(
        package=Path(header["package"]),
        store=Path(header["store"]),
        parameters=parameters,
        settings=LocalSettings.model_validate(header["settings"]),
        clip=header["clip"],
        seed=header["seed"],
        round=header["round"],
        most_samples=header["most_samples"],
        state=None if header["state"] is None else Path(header["state"]),
        package_key=None if header["package_key"] is None else Path(header["package_key"]),
    )
    with open(output, "wb") as pipe:  # noqa: PTH123 -- a descriptor has no path
        pipe.write(_outcome(job))


def _outcome(job: LocalJob) -> bytes:
    try:
        update = train(job)
    except SplitNetError as err:
        reason = err.reason if isinstance(err, RefusalError) else None
        return pack({"error": type(err).__name__, "message": str(err), "reason": reason}, np.empty(0, np.float32))
    header = {"samples": update.samples, "metrics": dict(update.metrics), "skipped": update.skipped}
    return pack(header, update.delta)


if __name__ == "__main__":
    main()
