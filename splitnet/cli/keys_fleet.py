"""`splitnet keys` for federated rounds: keys of operator and devices, and the signed roster of the fleet."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from splitnet.cli.console import print_json, print_line
from splitnet.cli.keys_options import JsonOutput, Operator, PassphraseFile

if TYPE_CHECKING:
    from splitnet.learn.identity import Roster

_RosterFile = Annotated[Path, typer.Option("--roster", metavar="ROSTER.json", help="The signed roster.")]


def operator(
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Directory for operator.key and operator.pub.")
    ],
    passphrase_file: PassphraseFile = None,
    json_output: JsonOutput = False,
) -> None:
    """Make the operator's key, which signs rosters and packages."""
    from splitnet.learn.identity import make_operator, read_passphrase

    key = make_operator(output, read_passphrase(passphrase_file))
    public = output / "operator.pub"
    if json_output:
        print_json({"id": key.id, "public_key": str(public)})
        return
    print_line(f"operator {key.id}: {public} is for the devices, operator.key stays here")


def device(
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="STATE_DIR", help="The device's state directory.")
    ],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What people call the device.")],
    site: Annotated[str, typer.Option("--site", metavar="SITE", help="Where it stands: its cohort.")] = "default",
    passphrase_file: PassphraseFile = None,
    json_output: JsonOutput = False,
) -> None:
    """Make a device's key, where it has none, and the file by which the operator enrols it."""
    from splitnet.learn.identity import DeviceState, read_passphrase

    state = DeviceState.create(output)
    enrolment, path = state.enrolment(name, site, passphrase=read_passphrase(passphrase_file))
    if json_output:
        print_json({"id": enrolment.id, "name": name, "site": site, "enrolment": str(path)})
        return
    print_line(f"device {enrolment.id}: give {path} to the operator")


def trust(
    public_key: Annotated[
        Path, typer.Argument(metavar="OPERATOR.pub", help="The operator's public key, from a trusted hand.")
    ],
    *,
    state: Annotated[Path, typer.Option("--state", metavar="STATE_DIR", help="The device's state directory.")],
    replace: Annotated[bool, typer.Option("--replace", help="Give up another operator.")] = False,
    json_output: JsonOutput = False,
) -> None:
    """Pin the operator whose rosters a device accepts."""
    from splitnet.learn.identity import DeviceState, device_id, operator_public

    public = operator_public(public_key)
    DeviceState(state).trust(public, replace=replace)
    if json_output:
        print_json({"operator": device_id(public)})
        return
    print_line(f"{state} trusts operator {device_id(public)}")


def enrol(
    enrolments: Annotated[
        list[Path], typer.Argument(metavar="ENROLMENT...", help="What `splitnet keys device` wrote.")
    ],
    *,
    operator: Operator,
    roster: _RosterFile,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="The fleet's model; needed for a new roster.")
    ] = None,
    site: Annotated[
        str | None, typer.Option("--site", metavar="SITE", help="The devices' site, whatever they say.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    json_output: JsonOutput = False,
) -> None:
    """Add devices to the roster, and sign it as a newer version."""
    from splitnet.learn.identity import enrol_devices, load_operator, read_enrolment, read_passphrase

    key = load_operator(operator, read_passphrase(passphrase_file))
    wanted = [read_enrolment(path, site=site) for path in enrolments]
    after = enrol_devices(roster, key, enrolments=wanted, model=model)
    _print_change(after, roster, [each.id for each in wanted], as_json=json_output)


def revoke(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Devices, by their ids.")],
    *,
    operator: Operator,
    roster: _RosterFile,
    passphrase_file: PassphraseFile = None,
    json_output: JsonOutput = False,
) -> None:
    """Take devices off the roster, and sign it as a newer version."""
    from splitnet.learn.identity import load_operator, read_passphrase, revoke_devices

    key = load_operator(operator, read_passphrase(passphrase_file))
    after = revoke_devices(roster, key, ids=ids)
    _print_change(after, roster, ids, as_json=json_output)


def list_devices(
    *,
    roster: _RosterFile,
    operator: Annotated[
        Path | None,
        typer.Option("--operator", metavar="OPERATOR.pub", help="Who must have signed it: file or directory."),
    ] = None,
    json_output: JsonOutput = False,
) -> None:
    """Show the devices of a roster."""
    from splitnet.learn.identity import load_roster, operator_public

    shown = load_roster(roster, None if operator is None else operator_public(operator))
    if json_output:
        print_json(shown.model_dump(mode="json"))
        return
    table = Table("id", "name", "site", title=f"{escape(shown.model)}: version {shown.version}")
    for entry in shown.devices:
        table.add_row(entry.id, escape(entry.name), escape(entry.site))
    Console(highlight=False).print(table)


def _print_change(after: "Roster", path: Path, ids: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"roster": str(path), "version": after.version, "devices": len(after.devices), "ids": ids})
        return
    print_line(f"{path}: version {after.version} with {len(after.devices)} devices")
