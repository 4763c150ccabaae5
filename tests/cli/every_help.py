"""A program that prints the help of every command as one JSON object: one process instead of thirty."""

import json
import sys
from collections.abc import Iterator

import click
import typer
from typer.testing import CliRunner

from splitnet.cli.main import app


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, those of groups too."""
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


def help_of(command: tuple[str, ...]) -> str:
    """What `splitnet COMMAND --help` prints."""
    done = CliRunner().invoke(app, [*command, "--help"])
    assert done.exit_code == 0, done.output
    return done.output


if __name__ == "__main__":
    texts = {" ".join(command): help_of(command) for command in commands(typer.main.get_command(app))}
    sys.stdout.write(json.dumps(texts))
