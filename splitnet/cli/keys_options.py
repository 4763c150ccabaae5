"""Options that several commands of `splitnet keys` have."""

from pathlib import Path
from typing import Annotated

import typer

PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="The private key's passphrase; mode 600."),
]
JsonOutput = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Operator = Annotated[
    Path, typer.Option("--operator", metavar="DIR", help="The operator's directory, with the private key.")
]
