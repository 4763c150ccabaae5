"""`splitnet plan`: place a graph given as a table of costs, without a model."""

import ctypes
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from splitnet.cli.console import print_json, start_logging
from splitnet.errors import InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from splitnet.plan.solve_table import TableAnswer
    from splitnet.plan.table import CostTable

_UNITS = {"latency": "ms", "throughput": "ms", "energy": "mJ", "bytes": "bytes"}

# Of a tier's nodes, so many are shown at each end.
_MOST_SHOWN = 6


def plan(
    problem: Annotated[Path, typer.Argument(metavar="PROBLEM.json", help="The table of costs, see docs/plan.md.")],
    *,
    time_limit: Annotated[
        float,
        typer.Option(min=0.001, metavar="SECONDS", help="For throughput and memory caps: how long to search."),
    ] = 60.0,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find the best placement of a graph from a table of costs, without a model."""
    start_logging(verbose=False)
    try:
        from splitnet.plan.solve_table import solve_table
        from splitnet.plan.table import from_json
    except ModuleNotFoundError as err:
        raise InvalidArgumentError(
            f"`splitnet plan` needs {err.name}: install SplitNet with the extra, splitnet[partition]"
        ) from err
    try:
        table = from_json(_read(problem))
        with _prints_to_stderr():
            answer = solve_table(table, time_limit_s=time_limit)
    except InvalidArgumentError as err:
        raise InvalidArgumentError(f"{problem}: {err}") from err
    if json_output:
        print_json(answer.to_json())
    else:
        _print(table, answer)


@contextmanager
def _prints_to_stderr() -> Iterator[None]:
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


def _read(path: Path) -> Any:  # noqa: ANN401  (whatever the file holds)
    try:
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_object)
    except FileNotFoundError as err:
        raise NotFoundError(f"{path}: no such file") from err
    except (OSError, ValueError, RecursionError) as err:  # of json: syntax, 5,000 digits, deep nesting
        raise InvalidArgumentError(f"not a readable JSON file: {err}") from err


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys differ; plain JSON would keep the last of two in silence."""
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InvalidArgumentError(f"the key {twice!r} occurs twice in one object")
    return value


def _print(table: "CostTable", answer: "TableAnswer") -> None:
    console, unit = Console(highlight=False), _UNITS[table.objective]
    placed = Table("tier", "nodes", "which", title="placement")
    for tier in answer.unsplit:
        names = [name for name, where in answer.tier_of.items() if where == tier]
        placed.add_row(tier, str(len(names)), escape(_shortened(names)))
    costs = Table("choice", unit, title=f"plan, for {table.objective}")
    costs.add_row("[bold]this placement", f"[bold]{answer.value:,.6g}")
    for tier, value in answer.unsplit.items():
        costs.add_row(f"all-{tier}", "not allowed" if value is None else f"{value:,.6g}")
    console.print(placed)
    console.print(costs)
    console.print(
        f"proved by {answer.method}: nothing costs less than {answer.bound:,.6g} {unit}, gap {answer.gap:.2g}"
    )


def _shortened(names: list[str]) -> str:
    if len(names) > 2 * _MOST_SHOWN:
        names = [*names[:_MOST_SHOWN], "…", *names[-_MOST_SHOWN:]]
    return ", ".join(names)
