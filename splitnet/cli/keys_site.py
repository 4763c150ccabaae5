"""`splitnet keys` for links: a site's authority, and the certificates of its machines."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from splitnet.cli.console import print_json, print_line
from splitnet.cli.keys_options import JsonOutput, PassphraseFile
from splitnet.errors import InvalidArgumentError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from splitnet.certificates import Authority, Description, Validity

_DAYS_A_YEAR = 365.25


class Step(StrEnum):
    """The steps of renewing an authority, in their order."""

    BEGIN = "begin"
    SWITCH = "switch"
    END = "end"


_Authority = Annotated[
    Path, typer.Option("--authority", metavar="DIR", help="The authority's directory, with the private key.")
]
_Days = Annotated[float, typer.Option("--days", metavar="N", help="How long the certificate holds.")]


def authority(
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Directory of the authority.")],
    site: Annotated[str | None, typer.Option("--site", metavar="NAME", help="What the site is called.")] = None,
    years: Annotated[float, typer.Option("--years", metavar="N", help="How long its certificate holds.")] = 5.0,
    renewal: Annotated[
        Step | None, typer.Option("--renewal", help="Renew the authority that is there, step by step.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    json_output: JsonOutput = False,
) -> None:
    """Make a site's authority, which signs the certificates of its machines, or renew it."""
    from splitnet.certificates import Authority, Validity
    from splitnet.signing import read_passphrase

    passphrase = read_passphrase(passphrase_file)
    validity = Validity.from_now(days=years * _DAYS_A_YEAR)
    if renewal is None:
        if site is None:
            raise InvalidArgumentError("a new authority needs the site's name: --site NAME")
        made = Authority.make(output, site=site, validity=validity, passphrase=passphrase)
        todo = "authority.key stays here"
    elif site is not None:
        raise InvalidArgumentError("--site is for a new authority; --renewal keeps its name")
    else:
        made, todo = _renewed(Authority.load(output, passphrase), renewal, validity, passphrase)
    if json_output:
        print_json(_fields(made.certificate) | {"directory": str(output), "trusted": len(made.trusted)})
        return
    print_line(f"{_said(made.certificate)}: {todo}")


def certificate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the machine is called.")],
    *,
    authority: _Authority,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The machine's directory.")],
    address: Annotated[
        list[str] | None,
        typer.Option("--address", metavar="IP|HOST", help="Under which others reach it; several are allowed."),
    ] = None,
    days: _Days = 30.0,
    request: Annotated[
        Path | None, typer.Option("--request", metavar="FILE", help="Certify this key, made on the machine.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    json_output: JsonOutput = False,
) -> None:
    """Make a machine's key and certificate, or the certificate of a key made on the machine."""
    from splitnet.certificates import Validity, alternative_names, certify, make_machine, read_request

    signer = _loaded(authority, passphrase_file)
    names, validity = alternative_names(name, address or ()), Validity.from_now(days=days)
    if request is None:
        made = make_machine(output, signer, names=names, validity=validity)
    else:
        public = read_request(request, name=name)
        made = certify(output, signer, public=public, names=names, validity=validity)
    _print_made(made, output, as_json=json_output)


def request(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the machine is called.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The machine's directory.")],
    json_output: JsonOutput = False,
) -> None:
    """Ask for a certificate from the machine itself: the private key stays there."""
    from splitnet.certificates import make_request

    path = make_request(output, name)
    if json_output:
        print_json({"name": name, "request": str(path)})
        return
    print_line(f"{path}: for `splitnet keys certificate {name} --request`; private.key stays here")


def renew(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The machine's directory.")],
    *,
    authority: _Authority,
    days: _Days = 30.0,
    passphrase_file: PassphraseFile = None,
    json_output: JsonOutput = False,
) -> None:
    """Renew a machine's certificate for the same names; with a new key where the directory has the private one."""
    from splitnet.certificates import Validity
    from splitnet.certificates import renew as renew_machine

    made = renew_machine(directory, _loaded(authority, passphrase_file), Validity.from_now(days=days))
    _print_made(made, directory, as_json=json_output)


def show(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A machine's or authority's directory, or a PEM file.")
    ],
    *,
    json_output: JsonOutput = False,
) -> None:
    """Show certificates: whose, until when, and their fingerprints."""
    from splitnet.certificates import FILES, describe_certificate, read_certificates

    files = [path / name for name in FILES if name.endswith(".pem")] if path.is_dir() else [path]
    files = [file for file in files if file.exists()] or files
    found = [(file, each) for file in files for each in read_certificates(file)[0]]
    if json_output:
        print_json({"certificates": [{"file": str(file)} | _fields(each) for file, each in found]})
        return
    for file, each in found:
        print_line(_line(file, describe_certificate(each)))


def _loaded(directory: Path, passphrase_file: Path | None) -> "Authority":
    from splitnet.certificates import Authority
    from splitnet.signing import read_passphrase

    return Authority.load(directory, read_passphrase(passphrase_file))


def _renewed(
    before: "Authority", step: Step, validity: "Validity", passphrase: bytes | None
) -> tuple["Authority", str]:
    """Do one step, and return the authority after it and what is to be done then."""
    from splitnet.certificates import begin_renewal, end_renewal, switch_key

    if step is Step.BEGIN:
        return begin_renewal(before, validity, passphrase), "give every machine the new authority.pem, then switch"
    if step is Step.SWITCH:
        return switch_key(before, passphrase), "renew every machine's certificate, then end"
    return end_renewal(before), "give every machine the new authority.pem"


def _fields(certificate: "Certificate") -> dict[str, Any]:
    from splitnet.certificates import describe_certificate

    return describe_certificate(certificate).model_dump(mode="json")


def _line(file: Path, seen: "Description") -> str:
    from splitnet.certificates import Validity, day

    also = ", ".join(text for text in (*seen.names, *seen.addresses) if text != seen.name)
    name = f"{seen.name} ({also})" if also else seen.name
    when = Validity(seen.start, seen.end).wrong() or f"until {day(seen.end)}"
    return f"{file}: {name}, signed by {seen.issuer}, {when}, SHA-256 {seen.sha256}"


def _said(certificate: "Certificate") -> str:
    from splitnet.certificates import day, describe_certificate

    seen = describe_certificate(certificate)
    return f"{seen.name}, until {day(seen.end)}"


def _print_made(certificate: "Certificate", directory: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(_fields(certificate) | {"directory": str(directory)})
        return
    print_line(f"{_said(certificate)}: in {directory}")
