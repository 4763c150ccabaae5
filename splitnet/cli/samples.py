"""`splitnet samples`: what a device's store of samples holds, and how it is emptied."""

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from splitnet.cli.console import print_json, print_line
from splitnet.errors import InvalidArgumentError

if TYPE_CHECKING:
    from splitnet.learn.store import StoreStatus

samples = typer.Typer(
    name="samples", help="Show or empty the store of samples that a device learns from.", no_args_is_help=True
)

_Store = Annotated[Path, typer.Option("--store", metavar="FILE", help="The store, as `splitnet device` keeps it.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@samples.command()
def status(*, store: _Store, json_output: _Json = False) -> None:
    """Show what a store holds."""
    from splitnet.learn.store import SampleStore

    with SampleStore(store) as opened:
        found = opened.status()
    if json_output:
        print_json(asdict(found))
        return
    _print_table(found)


@samples.command()
def purge(
    *,
    store: _Store,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json_output: _Json = False,
) -> None:
    """Delete every sample of a store; a session that has it open goes on with an empty one."""
    from splitnet.learn.store import SampleStore

    with SampleStore(store) as opened:
        if not yes:
            _ask(store, opened.status().samples)
        count = opened.purge()
    if json_output:
        print_json({"deleted": count})
        return
    print_line(f"{store}: {count} samples deleted")


def _ask(store: Path, count: int) -> None:
    if not sys.stdin.isatty():
        raise InvalidArgumentError(f"{store}: to delete its {count} samples without being asked, give --yes")
    typer.confirm(f"Delete the {count} samples of {store}?", abort=True, err=True)


def _print_table(found: "StoreStatus") -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("model", f"{escape(found.model)}, {found.classes} classes")
    table.add_row("samples", f"{found.samples}, {found.labelled} of them with a label")
    table.add_row("answered at", escape("  ".join(f"{tier} {count}" for tier, count in found.tiers.items())))
    table.add_row("size", f"{found.used_bytes:,} of {found.limit_bytes:,} bytes, {found.policy}")
    if found.oldest_s is not None and found.newest_s is not None:
        table.add_row("from", _moment(found.oldest_s))
        table.add_row("to", _moment(found.newest_s))
    Console(highlight=False).print(table)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
