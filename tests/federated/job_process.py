"""`splitnet federate run` as a process, followed by the lines of its progress file."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from splitnet_server.rounds import JobFolder

_SILENCE_S = 100.0


class JobProcess:
    """Resumes the job of a folder on a SuperLink."""

    def __init__(self, job: JobFolder, superlink: str) -> None:
        command = [sys.executable, "-m", "splitnet", "federate", "run", "--resume", "--json"]
        self._command = [*command, "--output", str(job.path), "--superlink", superlink]
        self._progress = job.progress_path
        self._at = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the job's events as they come, until the process ends."""
        last = time.monotonic()
        while True:
            ended = self._process.poll() is not None
            for event in self._new():
                last = time.monotonic()
                yield event
            if ended:
                return
            assert time.monotonic() < last + _SILENCE_S, f"nothing happened for {_SILENCE_S} s"
            time.sleep(0.05)

    def result(self) -> dict[str, Any]:
        """The object that the command printed, once it has ended."""
        output, errors = self._process.communicate()
        assert self._process.returncode == 0, errors.decode()
        result: dict[str, Any] = json.loads(output)
        return result

    def _new(self) -> Iterator[dict[str, Any]]:
        content = self._progress.read_bytes()[self._at :] if self._progress.exists() else b""
        for line in content.splitlines(keepends=True):
            if line.endswith(b"\n"):
                self._at += len(line)
                yield json.loads(line)


def files_with(needle: bytes, paths: list[Path]) -> list[Path]:
    """Return those of the files that hold these bytes."""
    return [path for path in paths if path.is_file() and needle in path.read_bytes()]
