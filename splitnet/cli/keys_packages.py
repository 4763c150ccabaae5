"""`splitnet keys sign` and `verify`: the operator's signature of a package."""

from pathlib import Path
from typing import Annotated

import typer

from splitnet.cli.console import print_json, print_line
from splitnet.cli.keys_options import JsonOutput, Operator, PassphraseFile

# So many files that do not belong to a package are named.
_MOST_NAMED = 5

_Package = Annotated[Path, typer.Argument(metavar="PACKAGE", help="Directory of the package.")]


def sign(
    package: _Package,
    *,
    operator: Operator,
    passphrase_file: PassphraseFile = None,
    json_output: JsonOutput = False,
) -> None:
    """Sign a package, once every file in it is what its manifest says."""
    from splitnet.package.sign import sign_package
    from splitnet.signing import load_operator, read_passphrase

    key = load_operator(operator, read_passphrase(passphrase_file))
    sign_package(package, key)
    if json_output:
        print_json({"package": str(package), "operator": key.id})
        return
    print_line(f"{package}: signed by operator {key.id}")


def verify(
    package: _Package,
    *,
    key: Annotated[
        Path, typer.Option("--key", metavar="OPERATOR.pub", help="Who must have signed it: file or directory.")
    ],
    json_output: JsonOutput = False,
) -> None:
    """Check a package: its signature, and size and digest of every file."""
    from splitnet.package import open_package
    from splitnet.signing import device_id, operator_public

    signer = device_id(operator_public(key))
    opened = open_package(package, key)
    verified_bytes, unlisted = opened.check(), opened.unlisted()
    if json_output:
        told = {"package": str(package), "operator": signer, "verified_bytes": verified_bytes}
        print_json(told | {"unlisted": unlisted})
        return
    print_line(f"{package}: signed by operator {signer}, {verified_bytes} bytes are as signed")
    if unlisted:
        more = f" and {len(unlisted) - _MOST_NAMED} more" if len(unlisted) > _MOST_NAMED else ""
        print_line(f"not signed, and never read: {', '.join(unlisted[:_MOST_NAMED])}{more}")
