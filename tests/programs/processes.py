"""The real programs as processes: started on port 0, spoken to, and always ended."""

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from splitnet.config import format_address, parse_address

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 30.0
#: A warning ends a program; typer itself imports names that click deprecates.
PYTHON = (sys.executable, "-W", "error", "-W", "ignore:'click.utils:DeprecationWarning")


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that ran to its end."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on standard output."""
        (line,) = self.out.splitlines()
        return json.loads(line)


@dataclass(frozen=True, slots=True)
class Program:
    """A tier that listens."""

    process: "subprocess.Popen[str]"
    address: tuple[str, int]
    log: IO[str]

    @property
    def target(self) -> str:
        """HOST:PORT."""
        return format_address(self.address)

    def ended(self, *, within_s: float = TIMEOUT_S) -> int:
        """Wait for the process's end and return its exit code."""
        return self.process.wait(within_s)

    def logged(self) -> str:
        """Return what it has written to standard error so far."""
        self.log.seek(0)
        return self.log.read()


@contextmanager
def running(
    tier: str,
    *,
    package: Path | None = None,
    upstream: tuple[str, int] | None = None,
    listen: tuple[str, int] | None = ("127.0.0.1", 0),
    options: Sequence[str] = (),
) -> Iterator[Program]:
    """Run `splitnet TIER` until the block is left; it listens when the block is entered."""
    command = [*PYTHON, "-m", "splitnet", tier, "--json", *options]
    for option, address in (("--listen", listen), ("--upstream", upstream)):
        command += [] if address is None else [option, format_address(address)]
    command += [] if package is None else ["--package", str(package)]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            said = json.loads(_first_line(process, log))
            assert said["tier"] == tier
            yield Program(process, parse_address(said["listening"]), log)
        finally:
            process.kill()
            process.communicate(timeout=TIMEOUT_S)


def run(*arguments: str, timeout_s: float = TIMEOUT_S) -> Finished:
    """Run `splitnet ARGUMENTS` to its end."""
    result = subprocess.run(
        [*PYTHON, "-m", "splitnet", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    return Finished(result.returncode, result.stdout, result.stderr)


def eventually(condition: Callable[[], object], *, within_s: float = TIMEOUT_S) -> None:
    """Wait until `condition` is true.

    Raises:
        AssertionError: it was not within `within_s` seconds.
    """
    until_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until_s, f"not within {within_s} s"
        time.sleep(0.005)


def in_time(measure: Callable[[], float], limit_s: float, *, tries: int = 21) -> None:
    """Hold most runs of `measure`, which returns seconds, to `limit_s`: neighbours may disturb a few in a row.

    The first run will do; each that takes too long is to be made up for.

    Raises:
        AssertionError: of all tries no more than half were in time.
    """
    took = [measure()]
    while (late := sum(seconds >= limit_s for seconds in took)) * 2 >= len(took):
        assert len(took) < tries, (
            f"{late} of {len(took)} took {limit_s} s or longer: {min(took):.3f} to {max(took):.3f}"
        )
        took.append(measure())


def _environment() -> dict[str, str]:
    """This process's, without what flwr sets where it was imported: gRPC would not say why it refuses a caller."""
    return {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}


def _first_line(process: "subprocess.Popen[str]", log: IO[str]) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(TIMEOUT_S), "the program said nothing"
    line = process.stdout.readline()
    log.seek(0)
    assert line, f"the program ended: {log.read()}"
    return line
