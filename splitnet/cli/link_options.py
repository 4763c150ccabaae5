"""The options of commands that reach over a link, or listen on one: the certificate, or none."""

from pathlib import Path
from typing import Annotated, Any

import typer

Tls = Annotated[
    Path | None, typer.Option("--tls", metavar="DIR", help="This machine's certificate; see `splitnet keys`.")
]
TlsServerName = Annotated[
    str | None,
    typer.Option(
        "--tls-server-name",
        metavar="NAME",
        help="Expected in the certificate of the tier reached; else its host.",
    ),
]
Plaintext = Annotated[
    bool | None, typer.Option("--plaintext", help="Links beyond loopback without TLS: anybody can read them.")
]


def link_settings(
    tls: Path | None,
    plaintext: bool | None,  # noqa: FBT001  (as Typer gives it)
    *,
    tls_server_name: str | None = None,
) -> dict[str, Any]:
    """Return the keys of a configuration that these options stand for."""
    table = {"directory": tls, "upstream_name": tls_server_name}
    given = {key: value for key, value in table.items() if value is not None}
    return {"tls": given or None, "plaintext": plaintext}
