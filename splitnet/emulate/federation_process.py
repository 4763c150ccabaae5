"""One of Flower's programs as a process of its own, with its log in a file; it never outlives who started it."""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from splitnet.errors import UnavailableError

logger = logging.getLogger(__name__)

_READY_S = 60.0
_STOP_S = 8.0  # Flower's programs end themselves 5 s after a signal, whatever hangs
_LOOK_AGAIN_S = 0.05
_LOG_TAIL_BYTES = 2000


class FlowerProcess:
    """A program in a session of its own, which kills reach whole: what it started dies with it.

    Args:
        name: for messages and the log file.
        command: program and arguments.
        log: file to which standard output and error are appended.
        environment: of the process, whole.
    """

    def __init__(self, name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        self._command = [sys.executable, "-m", "splitnet.emulate.tied", str(os.getpid()), *command]
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.running:
            return
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 -- our own command line
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    def wait_until_logged(self, words: str) -> None:
        """Wait until it has logged `words` since its last start.

        Raises:
            UnavailableError: it ends before, or takes more than 60 s.
        """
        end = time.monotonic() + _READY_S
        while words.encode() not in self._logged():
            self._check_starting(end)
            time.sleep(_LOOK_AGAIN_S)

    def wait_until_listening(self, port: int) -> None:
        """Wait until it takes connections at a port of the loopback interface.

        Raises:
            UnavailableError: it ends before, or takes more than 60 s.
        """
        end = time.monotonic() + _READY_S
        while not _listens(port):
            self._check_starting(end)
            time.sleep(_LOOK_AGAIN_S)

    def ask_to_end(self) -> None:
        """Send SIGTERM to it and all that it started."""
        self._signal(signal.SIGTERM)

    def end(self) -> None:
        """Wait a little for what `ask_to_end` began, and kill what is left."""
        if self._process is not None:
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                logger.warning("%s did not end within %.0f s and is killed", self.name, _STOP_S)
            self.kill()

    def kill(self) -> None:
        """Send SIGKILL to it and all that it started, and wait until it is gone."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: int) -> None:
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            logger.debug("%s is gone already", self.name)

    def _check_starting(self, end: float) -> None:
        if self._process is None or self._process.poll() is not None or time.monotonic() > end:
            state = "is not ready in time" if self.running else "ended"
            tail = self._logged()[-_LOG_TAIL_BYTES:].decode(errors="replace")
            raise UnavailableError(f"{self.name} {state}; the end of {self.log}:\n{tail}")

    def _logged(self) -> bytes:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
