"""The options of commands that reach over a link, or listen on one: the certificate, or none."""

from pathlib import Path
from typing import Annotated, Any

import typer

Tls = Annotated[
    Path | None, typer.Option("--tls", metavar="DIR", help="This machine's certificate; see `splitnet keys`.")
]
Plaintext = Annotated[
    bool | None, typer.Option("--plaintext", help="Links beyond loopback without TLS: anybody can read them.")
]


def link_settings(tls: Path | None, plaintext: bool | None) -> dict[str, Any]:  # noqa: FBT001  (as Typer gives them)
    """Return the keys of a configuration that these options stand for."""
    return {"tls": None if tls is None else {"directory": tls}, "plaintext": plaintext}
