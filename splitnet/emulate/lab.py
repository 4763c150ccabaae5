"""A lab: the tiers of a package as processes on this machine, joined by emulated links."""

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from splitnet.config import format_address, parse_address
from splitnet.emulate.shape import LinkShape
from splitnet.emulate.shaped_link import ShapedLink
from splitnet.errors import DeadlineExceededError, OperatorError, UnavailableError

logger = logging.getLogger(__name__)

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 15.0
#: Names of the links, from the device upwards.
LINKS = ("device_edge", "edge_cloud")


@dataclass(frozen=True, slots=True)
class LabSetup:
    """What a lab consists of.

    Attributes:
        package: what every tier runs.
        tiers: those that run as servers: (), ("edge",) or ("edge", "cloud").
        links: the shapes of the links, device to edge and edge to cloud.
        device_speed: fraction of this machine's speed that the device is emulated at.
    """

    package: Path
    tiers: Sequence[str]
    links: tuple[LinkShape, LinkShape]
    device_speed: float


class Lab:
    """Starts the tiers from the top down, and stops them all when left, also after an error."""

    def __init__(self, setup: LabSetup) -> None:
        self._setup = setup
        self._stack = ExitStack()
        self._links: dict[str, ShapedLink] = {}
        #: HOST:PORT at which a device reaches the tier above it, over the emulated link; None without tiers.
        self.upstream: str | None = None
        #: HOST:PORT of each tier itself, past the links, from the top down.
        self.tiers: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Start the tiers and the links.

        Raises:
            UnavailableError: a tier ends, or does not listen in time.
        """
        with ExitStack() as starting:
            above: str | None = None
            for tier in ("cloud", "edge"):
                if tier in self._setup.tiers:
                    arguments = ["--upstream", above] if above is not None else []
                    if tier == "edge":  # a lab measures: the same sample twice is to be computed twice
                        arguments += ["--no-cache"]
                    process = starting.enter_context(TierProcess(tier, self._setup.package, arguments))
                    name = LINKS[0] if tier == "edge" else LINKS[1]
                    link = ShapedLink(parse_address(process.address), self._setup.links[LINKS.index(name)])
                    self._links[name] = starting.enter_context(link)
                    above = format_address(link.address)
                    self.tiers[tier] = process.address
            self.upstream = above
            self._stack = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def run_device(self, samples: Path, arguments: Sequence[str], *, timeout_s: float) -> dict[str, Any]:
        """Run the device program on a file of samples and return the object that it prints.

        Its progress bar and its log go to this process's standard error.

        Raises:
            OperatorError: the device fails.
            DeadlineExceededError: it takes longer than `timeout_s`.
        """
        upstream = ["--upstream", self.upstream] if self.upstream is not None else []
        command = [
            *_program("device", self._setup.package),
            *("--input", str(samples), "--emulated-speed", str(self._setup.device_speed), "--json"),
            *upstream,
            *arguments,
        ]
        # A session of its own: an interrupt at the terminal is for the lab, which then stops the device.
        with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:  # noqa: S603
            try:
                output, _ = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired as err:
                raise DeadlineExceededError(f"the device did not end within {timeout_s:.0f} s") from err
            finally:
                if process.poll() is None:
                    process.kill()
        try:
            result: dict[str, Any] = json.loads(output)
        except json.JSONDecodeError as err:
            raise OperatorError(f"the device ended with {process.returncode} and without a result") from err
        return result

    def link_bytes(self) -> Mapping[str, int]:
        """Return the bytes that have crossed each link so far, both ways, framing included."""
        counts = {name: link.stats() for name, link in self._links.items()}
        return {name: counts[name].up_bytes + counts[name].down_bytes if name in counts else 0 for name in LINKS}


class TierProcess:
    """A serving tier as a process; entering waits until it listens, leaving stops it."""

    def __init__(
        self,
        tier: str,
        package: Path,
        arguments: Sequence[str],
        *,
        listen: str = "127.0.0.1:0",
        log: IO[bytes] | None = None,
    ) -> None:
        """Take note of the command.

        Args:
            tier: "edge" or "cloud".
            package: what it runs.
            arguments: further options.
            listen: HOST:PORT; port 0 takes a free one.
            log: where its standard error goes; None: to this process's.
        """
        self._tier = tier
        self._command = [*_program(tier, package), "--listen", listen, "--json", *arguments]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""

    def __enter__(self) -> Self:
        # A session of its own: an interrupt at the terminal is for whoever runs the tiers, who then stops them.
        self._process = subprocess.Popen(  # noqa: S603
            self._command, stdout=subprocess.PIPE, stderr=self._log, start_new_session=True
        )
        try:
            self.address = str(json.loads(self._first_line(self._process))["listening"])
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._started.pid

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, such as SIGSTOP; nothing happens if it has ended."""
        self._started.send_signal(number)

    def ended(self, within_s: float) -> int:
        """Wait for the process's end and return its exit code, negative for a signal.

        Raises:
            DeadlineExceededError: it did not end within `within_s` seconds.
        """
        try:
            return self._started.wait(within_s)
        except subprocess.TimeoutExpired as err:
            raise DeadlineExceededError(f"the {self._tier} did not end within {within_s:g} s") from err

    @property
    def _started(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "the process was not started"
        return self._process

    def _first_line(self, process: "subprocess.Popen[bytes]") -> bytes:
        assert process.stdout is not None
        end = time.monotonic() + _START_TIMEOUT_S
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise UnavailableError(f"the {self._tier} did not listen within {_START_TIMEOUT_S:.0f} s")
                if not (read := os.read(process.stdout.fileno(), 4096)):
                    raise UnavailableError(f"the {self._tier} ended with {process.wait()} before it listened")
                line += read
        return line

    def _stop(self) -> None:
        process = self._process
        if process is None:
            return
        process.send_signal(signal.SIGCONT)  # where it was stopped, it would not hear the next
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            logger.warning("the %s did not end within %.0f s and is killed", self._tier, _STOP_TIMEOUT_S)
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _program(tier: str, package: Path) -> list[str]:
    return [sys.executable, "-m", "splitnet", tier, "--package", str(package)]
