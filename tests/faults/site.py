"""A cloud and an edge as processes, a device's session in this one, and a link between each two that can fail."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

from splitnet.config import format_address, parse_address
from splitnet.emulate import LinkShape, ShapedLink
from splitnet.emulate.lab import TierProcess
from splitnet.emulate.ports import reserved_address
from splitnet.errors import UnavailableError
from splitnet_device import Session

Where = Literal["device-edge", "edge-cloud"]

_END_S = 15.0


class Tier:
    """A tier that can be killed and frozen, and comes back at the same address."""

    def __init__(self, tier: str, package: Path, arguments: list[str], log: IO[bytes]) -> None:
        self._tier, self._package, self._arguments, self._log = tier, package, arguments, log
        self._process: TierProcess | None = None
        self._port = ExitStack()
        self.address = format_address(self._port.enter_context(reserved_address()))

    def start(self) -> None:
        """Start it, again where it ended, and wait until it listens."""
        self._end()
        process = TierProcess(self._tier, self._package, self._arguments, listen=self.address, log=self._log)
        self._process = process.__enter__()

    @property
    def process(self) -> TierProcess:
        """The process that runs, or ran last."""
        assert self._process is not None, "the tier was not started"
        return self._process

    def kill(self) -> None:
        """SIGKILL: gone without a word."""
        self.process.send_signal(signal.SIGKILL)
        self.process.ended(_END_S)

    def freeze(self) -> None:
        """SIGSTOP: its connections stay open, and it says nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it in order, and give its address up."""
        self._end()
        self._port.close()

    def _end(self) -> None:
        if self._process is not None:
            self._process.__exit__(None, None, None)


class Site:
    """Everything, started from the top down."""

    def __init__(self, package: Path, folder: Path) -> None:
        """Take note of what to start.

        Args:
            package: what all three run.
            folder: where the tiers' logs go.
        """
        self._package = package
        self._log_path = folder / "tiers.log"
        self._stack = ExitStack()
        self.links: dict[Where, ShapedLink] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack, self._telling_why():
            log = stack.enter_context(self._log_path.open("ab"))
            self.cloud = Tier("cloud", self._package, [], log)
            stack.callback(self.cloud.stop)
            self.cloud.start()
            above = self._link(stack, "edge-cloud", self.cloud)
            self.edge = Tier("edge", self._package, ["--upstream", above], log)
            stack.callback(self.edge.stop)
            self.edge.start()
            above = self._link(stack, "device-edge", self.edge)
            self.session = stack.enter_context(Session(self._package, upstream=above))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def logged(self) -> str:
        """Return what the tiers have written to standard error so far."""
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    @contextmanager
    def _telling_why(self) -> Iterator[None]:
        try:
            yield
        except UnavailableError as err:
            err.add_note(self.logged())
            raise

    def _link(self, stack: ExitStack, name: Where, tier: Tier) -> str:
        self.links[name] = stack.enter_context(ShapedLink(parse_address(tier.address), LinkShape()))
        return format_address(self.links[name].address)
