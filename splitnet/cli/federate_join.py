"""How a machine joins the federation: checked first, then this process becomes Flower's SuperNode."""

import os
from pathlib import Path
from typing import NoReturn

from splitnet.config import is_loopback, parse_address
from splitnet.emulate.ports import free_port
from splitnet.errors import ConfigError, InvalidArgumentError
from splitnet.learn.flower.runs import check_installed, flower_environment, program
from splitnet_device.federated import check_ready


def become_supernode(
    superlink: str, state: Path | None, root_certificates: Path | None, *, auth_key: Path | None, insecure: bool
) -> NoReturn:
    """Replace this process by `flower-supernode` with the device's state directory as node configuration.

    Raises:
        InvalidArgumentError: no state directory is given.
        ConfigError: something is missing or wrong in the state directory; the connection would have no TLS;
            Flower is not installed.
        NotFoundError: there is no such directory, or no package or key.
    """
    if state is None:
        raise InvalidArgumentError("--federate needs --state DIR, the directory that `splitnet keys device` made")
    check_installed()
    check_ready(state)
    home = state.resolve() / "flower"
    home.mkdir(mode=0o700, exist_ok=True)
    command = [
        *(
            *program("supernode"),
            "--superlink",
            superlink,
            *tls_options(superlink, root_certificates, insecure=insecure),
        ),
        *("--port", str(free_port()), "--node-config", f"state='{state.resolve()}'"),
    ]
    if auth_key is not None:
        command += ["--auth-supernode-private-key", str(auth_key)]
    os.execve(command[0], command, flower_environment(home))  # noqa: S606 -- our own command line


def tls_options(superlink: str, root_certificates: Path | None, *, insecure: bool) -> list[str]:
    """Return Flower's options for TLS.

    Raises:
        ConfigError: the address is wrong, or both a certificate and no TLS were asked for.
    """
    if insecure and root_certificates is not None:
        raise ConfigError("--insecure and --root-certificates exclude each other")
    if root_certificates is not None:
        return ["--root-certificates", str(root_certificates)]
    host, _ = parse_address(superlink)
    return ["--insecure"] if insecure or is_loopback(host) else []
