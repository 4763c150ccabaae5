"""Runs on a SuperLink, started and stopped by Flower's own command `flwr`."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from splitnet import __version__
from splitnet.errors import ConfigError, DeadlineExceededError, UnavailableError
from splitnet.whole_file import write_whole

_COMMAND_S = 60.0
_CONNECTION = "job"

#: Where Flower finds the apps, on server and devices, as MODULE:ATTRIBUTE.
SERVER_APP = "splitnet_server.server_app:app"
CLIENT_APP = "splitnet_device.client_app:app"

#: What every program of Flower is told: no telemetry, no look for updates.
QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}


@dataclass(frozen=True, slots=True)
class SuperLink:
    """Where runs are started.

    Attributes:
        address: HOST:PORT.
        root_certificates: PEM file of the authority behind the SuperLink's certificate; None takes the system's.
        insecure: whether to ask without TLS.
    """

    address: str
    root_certificates: Path | None = None
    insecure: bool = False


class FlowerRuns:
    """Runs of one job.

    Args:
        superlink: where.
        job: folder of the job, on the machine of the SuperLink's SuperExec; the application and Flower's
            configuration are written there.

    Raises:
        ConfigError: Flower is not installed.
    """

    def __init__(self, superlink: SuperLink, job: Path) -> None:
        check_installed()
        self._app = job / "app"
        self._home = job / "flower"
        for folder in (self._app, self._home):
            folder.mkdir(exist_ok=True)
        write_whole(_application(job).encode(), self._app / "pyproject.toml")
        write_whole(_connections(superlink).encode(), self._home / "config.toml")

    def start(self) -> int:
        """Start a run and return its number.

        Raises:
            UnavailableError: the SuperLink is not there, or refuses; Flower's words are in the text.
            DeadlineExceededError: it does not answer.
        """
        output = self._flwr("run", str(self._app), _CONNECTION, "--format", "json")
        try:
            return int(json.loads(output)["run-id"])
        except (ValueError, KeyError, TypeError) as err:
            raise UnavailableError(f"flwr run: {output.strip()[-500:]}") from err

    def stop(self, run: int) -> None:
        """Stop a run; one that has ended is left alone.

        Raises:
            DeadlineExceededError: the SuperLink does not answer.
        """
        self._flwr("stop", str(run), _CONNECTION, "--format", "json")

    def _flwr(self, *arguments: str) -> str:
        command = [str(Path(sys.executable).parent / "flwr"), *arguments]
        try:
            done = subprocess.run(  # noqa: S603 -- our own command line
                command,
                env=flower_environment(self._home),
                capture_output=True,
                text=True,
                timeout=_COMMAND_S,
                check=False,
            )
        except subprocess.TimeoutExpired as err:
            raise DeadlineExceededError(f"flwr {arguments[0]}: no answer within {_COMMAND_S:.0f} s") from err
        return done.stdout if done.returncode == 0 else done.stdout + done.stderr


def check_installed() -> None:
    """Check that Flower is there.

    Raises:
        ConfigError: it is not; the text says which extra has it.
    """
    if find_spec("flwr") is None:
        raise ConfigError("federated rounds need Flower: pip install 'splitnet[federated]'")


def flower_environment(home: Path) -> dict[str, str]:
    """Return this process's environment for one of Flower's programs: quiet, with its files in `home`."""
    programs = str(Path(sys.executable).parent)  # Flower starts its programs by name
    path = os.pathsep.join([programs, os.environ.get("PATH", os.defpath)])
    return {**os.environ, **QUIET, "FLWR_HOME": str(home), "PATH": path}


def _application(job: Path) -> str:
    """Return the project file of the application, which is all of it: the code is installed on every machine."""
    return _toml(
        (
            "project",
            {"name": "splitnet-federated", "version": __version__, "description": "", "license": "Apache-2.0"},
        ),
        ("tool.flwr.app", {"publisher": "splitnet"}),
        ("tool.flwr.app.components", {"serverapp": SERVER_APP, "clientapp": CLIENT_APP}),
        ("tool.flwr.app.config", {"job": str(job.resolve())}),
    )


def _connections(superlink: SuperLink) -> str:
    connection: dict[str, str | bool] = {"address": superlink.address}
    if superlink.insecure:
        connection["insecure"] = True
    elif superlink.root_certificates is not None:
        connection["root-certificates"] = str(superlink.root_certificates.resolve())
    return _toml(("superlink", {"default": _CONNECTION}), (f"superlink.{_CONNECTION}", connection))


def _toml(*tables: tuple[str, dict[str, str] | dict[str, str | bool]]) -> str:
    """Write tables of strings and booleans; JSON's form of these is TOML's."""
    lines: list[str] = []
    for name, values in tables:
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""]
    return "\n".join(lines)


def program(name: str) -> Sequence[str]:
    """Return the command of one of Flower's programs, such as "supernode"."""
    return [str(Path(sys.executable).parent / f"flower-{name}")]
