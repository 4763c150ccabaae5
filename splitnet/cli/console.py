"""What every command shares with the terminal: JSON to standard output, progress and logs to standard error."""

import ctypes
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

#: For people: progress bars and messages; standard output is kept for results.
stderr = Console(stderr=True)


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on one line."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def print_line(text: str) -> None:
    """Print one line of a result, and let a reader at the other end of a pipe have it now."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def prints_to_stderr() -> Iterator[None]:
    """Keep standard output for the result: HiGHS 1.12 prints notes there through C, whatever its options say."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        ctypes.CDLL(None).fflush(None)  # what C still holds for a pipe
        os.dup2(kept, 1)
        os.close(kept)


def progress_bar() -> Progress:
    """Return a bar on standard error that leaves nothing behind, and says nothing where that is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=stderr,
        disable=not stderr.is_terminal,
        transient=True,
    )
