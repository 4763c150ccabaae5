"""Keeping a job under way: its Flower run is started, watched by the job's folder, and started anew if it dies."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from splitnet.errors import OperatorError, SplitNetError, UnavailableError
from splitnet_server.rounds.folder import JobFolder

#: What happened: a line of the progress file.
Event = Mapping[str, Any]

_ENDS = {"finished", "stopped", "failed"}
_LOOK_AGAIN_S = 0.2
# From a run's start until a SuperExec has started the job: 5 s measured, with a SuperExec that looks each second.
_START_S = 60.0
_MOST_RESTARTS = 5
# A SuperLink that is being restarted by its supervisor is asked again for so long.
_SUPERLINK_S = 60.0
_ASK_AGAIN_S = 2.0


class Runs(Protocol):
    """Where the job's ServerApp is started; `splitnet.learn.flower.runs` has the one of Flower."""

    def start(self) -> int:
        """Start a run and return its number."""

    def stop(self, run: int) -> None:
        """Stop a run."""


def supervise(folder: JobFolder, runs: Runs, on_event: Callable[[Event], None]) -> Event:
    """Run a job to its end and return the event that ended it, "finished" or "stopped".

    Args:
        folder: of the job.
        runs: where to start it.
        on_event: called with each event from now on.

    Raises:
        OperatorError: the job failed, or its process died more often than is bearable.
        UnavailableError: the SuperLink is not there, or nothing takes up the run.
    """
    events = _Tail(folder)
    for _ in range(_MOST_RESTARTS + 1):
        # A job whose supervisor died runs on: it is watched again.
        run = None if folder.running else _patiently(runs)
        end = _watch(folder, events, on_event)
        if end is not None:
            if end["event"] == "failed":
                raise OperatorError(f"the job failed: {end['error']}")
            return end
        if run is not None:
            _give_up(runs, run)
        on_event({"event": "restarted"})
    raise OperatorError(
        f"{folder.path}: the job's process died {_MOST_RESTARTS + 1} times; see the SuperExec's log"
    )


def _watch(folder: JobFolder, events: "_Tail", on_event: Callable[[Event], None]) -> Event | None:
    """Return the event that ends the job, None when its process has died without one."""
    start = time.monotonic()
    started = folder.running
    while True:
        running = folder.running  # asked first: what it wrote before it ended is then read below
        for event in events.read():
            on_event(event)
            started = True
            if event["event"] in _ENDS:
                return event
        if started and not running:
            return None
        if not started and time.monotonic() - start > _START_S:
            raise UnavailableError(
                f"nothing has taken up the run within {_START_S:.0f} s: does a flower-superexec of the SuperLink "
                f"run on this machine, where {folder.path} is?"
            )
        time.sleep(_LOOK_AGAIN_S)


def _patiently(runs: Runs) -> int:
    """Start a run; a SuperLink that does not answer is asked again for a minute."""
    end = time.monotonic() + _SUPERLINK_S
    while True:
        try:
            return runs.start()
        except UnavailableError:
            if time.monotonic() >= end:
                raise
            time.sleep(_ASK_AGAIN_S)


def _give_up(runs: Runs, run: int) -> None:
    """Stop a run whose process died, so that nodes drop its messages; Flower would notice after a minute."""
    try:
        runs.stop(run)
    except SplitNetError:
        return  # the next start says what is wrong


class _Tail:
    """Reads the lines that the progress file has gained."""

    def __init__(self, folder: JobFolder) -> None:
        self._path = folder.progress_path
        self._at = self._path.stat().st_size if self._path.exists() else 0

    def read(self) -> Iterator[Event]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # still being written
                self._at += len(line)
                yield json.loads(line)
