"""`splitnet keys`: certificates of machines, signatures of packages, identities of a fleet that learns."""

from collections.abc import Callable

import typer

from splitnet.cli.keys_fleet import device, enrol, list_devices, operator, revoke, trust
from splitnet.cli.keys_packages import sign, verify
from splitnet.cli.keys_site import authority, certificate, renew, request, show

_Command = Callable[..., None]
_SITE: tuple[_Command, ...] = (authority, certificate, request, renew, show)
_PACKAGES: tuple[_Command, ...] = (operator, sign, verify)
_FLEET: tuple[_Command, ...] = (device, trust, enrol, revoke)

keys = typer.Typer(
    name="keys",
    help="Make certificates of a site, sign packages, enrol and revoke devices of a fleet.",
    no_args_is_help=True,
)
for command in _SITE:
    keys.command(rich_help_panel="Certificates of a site")(command)
for command in _PACKAGES:
    keys.command(rich_help_panel="Packages")(command)
for command in _FLEET:
    keys.command(rich_help_panel="A fleet that learns")(command)
keys.command(name="list", rich_help_panel="A fleet that learns")(list_devices)
