"""A federation on this machine: Flower's SuperLink, SuperExecs and SuperNodes as processes, offline."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from splitnet.emulate.federation_process import FlowerProcess
from splitnet.emulate.ports import reserved_address
from splitnet.errors import InvalidArgumentError
from splitnet.learn.flower.runs import CLIENT_APP, SERVER_APP, check_installed, flower_environment, program

# A SuperExec asks for work so often; as shipped every second.
_POLL = {"FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.1"}


@dataclass(frozen=True, slots=True)
class LocalNode:
    """A SuperNode.

    Attributes:
        name: of its files in the federation's folder.
        config: what its ClientApp finds as node configuration.
    """

    name: str
    config: Mapping[str, str]


class LocalFederation:
    """Starts everything when entered and stops everything when left, also after an error.

    All listen at the loopback interface without TLS. Should this process be killed, they end by themselves; the
    thread that entered must live as long.

    Args:
        folder: for logs, the SuperLink's database and Flower's own files; made if missing.
        nodes: the SuperNodes.
        quick: with the short waits of `splitnet.learn.flower.quick`; False runs the programs as shipped.
        durable: keep the SuperLink's state in a file, so that it survives a kill; in memory legs are faster.
    """

    def __init__(
        self, folder: Path, nodes: Sequence[LocalNode], *, quick: bool = True, durable: bool = False
    ) -> None:
        check_installed()
        self.folder = folder
        self._quick = quick
        self._durable = durable
        self._ports = ExitStack()  # reserved until all has stopped: what is killed comes back at its own
        self._port = self._reserve()
        self._superlink = self._process("superlink", self._superlink_command())
        self._superexec = self._process("superexec", self._superexec_command(self._port, SERVER_APP))
        self._nodes = {node.name: self._node(node) for node in nodes}

    @property
    def address(self) -> str:
        """HOST:PORT of the SuperLink, for SuperNodes and for those who start runs."""
        return f"127.0.0.1:{self._port}"

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the SuperNodes."""
        return tuple(self._nodes)

    @property
    def database(self) -> Path:
        """The SuperLink's database file, if it is durable."""
        return self.folder / "superlink.db"

    @property
    def logs(self) -> tuple[Path, ...]:
        """The log files, one a process."""
        return tuple(process.log for process in self._all())

    def __enter__(self) -> Self:
        """Start everything and wait until it is ready.

        Raises:
            UnavailableError: a program ends or is not ready in time.
        """
        try:
            self.restart_superlink()
            self.restart_superexec()
            for parts in self._nodes.values():
                for process in parts:
                    process.start()
            for name in self._nodes:
                self._wait_for_node(name)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop everything that runs."""
        everything = self._all()
        for process in everything:
            process.ask_to_end()
        for process in everything:
            process.end()
        self._ports.close()

    def kill(self, node: str) -> None:
        """Kill a SuperNode with the app that it runs, as a power cut would."""
        for process in self._nodes[node]:
            process.kill()

    def restart(self, node: str) -> None:
        """Start a SuperNode that was killed, and wait until it is connected."""
        for process in self._nodes[node]:
            process.start()
        self._wait_for_node(node)

    def kill_superlink(self) -> None:
        """Kill the SuperLink."""
        self._superlink.kill()

    def restart_superlink(self) -> None:
        """Start the SuperLink, on the same database, and wait until it listens."""
        self._superlink.start()
        self._superlink.wait_until_listening(self._port)

    def kill_superexec(self) -> None:
        """Kill the SuperLink's SuperExec with the ServerApp that it runs."""
        self._superexec.kill()

    def restart_superexec(self) -> None:
        """Start the SuperLink's SuperExec, and wait until it looks for work."""
        self._superexec.start()
        self._superexec.wait_until_logged("Starting Flower SuperExec")

    def _all(self) -> tuple[FlowerProcess, ...]:
        """Return every process, in the order in which they are stopped."""
        nodes = [process for parts in self._nodes.values() for process in parts]
        return (*nodes, self._superexec, self._superlink)

    def _wait_for_node(self, name: str) -> None:
        self._nodes[name][0].wait_until_logged("SuperNode ID:")

    def _superlink_command(self) -> list[str]:
        return [
            *(*program("superlink"), "--insecure", "--host", "127.0.0.1", "--port", str(self._port)),
            *("--isolation", "process"),
            *(("--database", str(self.database)) if self._durable else ()),
            "--disable-runtime-dependency-installation",
        ]

    def _superexec_command(self, port: int, app: str) -> list[str]:
        preload = ["--preload", app.partition(":")[0]] if self._quick else []
        runtime = ["--insecure", "--runtime-api-address", f"127.0.0.1:{port}"]
        return [*self._quick_or("superexec"), *preload, *runtime]

    def _node(self, node: LocalNode) -> tuple[FlowerProcess, FlowerProcess]:
        port = self._reserve()
        config = " ".join(f"{key}={_quoted(value)}" for key, value in node.config.items())
        command = [
            *(*self._quick_or("supernode"), "--insecure", "--superlink", self.address),
            *("--isolation", "process", "--host", "127.0.0.1", "--port", str(port), "--node-config", config),
        ]
        return (
            self._process(node.name, command),
            self._process(f"{node.name}-superexec", self._superexec_command(port, CLIENT_APP)),
        )

    def _reserve(self) -> int:
        _, port = self._ports.enter_context(reserved_address())
        return port

    def _process(self, name: str, command: Sequence[str]) -> FlowerProcess:
        home = self.folder / "flower" / name
        home.mkdir(parents=True, exist_ok=True)
        return FlowerProcess(
            name, command, log=self.folder / f"{name}.log", environment=flower_environment(home) | _POLL
        )

    def _quick_or(self, name: str) -> list[str]:
        if self._quick:
            return [sys.executable, "-m", "splitnet.learn.flower.quick", name]
        return list(program(name))


def _quoted(value: str) -> str:
    """Write a value of --node-config, which is read as TOML after a search for quotes.

    Raises:
        InvalidArgumentError: it cannot be written.
    """
    if "'" in value or "\n" in value:
        raise InvalidArgumentError(f"node configuration {value!r}: holds a quote or a line end; name it otherwise")
    return f"'{value}'"
