"""`splitnet plan`: place a graph given as a table of costs, without a model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from splitnet.cli.console import print_json, prints_to_stderr
from splitnet.errors import InvalidArgumentError, NotFoundError
from splitnet.telemetry import start_logging
from splitnet.tiers import TIERS

if TYPE_CHECKING:
    from splitnet.plan import CostTable, Placement, Solution

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
        from splitnet.plan import from_json, solve, unsplit
    except ModuleNotFoundError as err:
        raise InvalidArgumentError(
            f"`splitnet plan` needs {err.name}: install SplitNet with the extra, splitnet[partition]"
        ) from err
    try:
        table = from_json(_read(problem))
        with prints_to_stderr():
            solution = solve(table, time_limit_s=time_limit)
    except InvalidArgumentError as err:
        raise InvalidArgumentError(f"{problem}: {err}") from err
    whole = unsplit(table)
    if json_output:
        print_json(_to_json(solution, whole))
    else:
        _print(table, solution, whole)


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


def _to_json(solution: "Solution", whole: Mapping[str, "Placement"]) -> dict[str, Any]:
    """The object of docs/plan.md."""
    placement = solution.placement
    return {
        "tier_of": dict(placement.tier_of),
        "exits": list(placement.exits),
        "codecs": [dict(sent) for sent in placement.codecs],
        "value": placement.value,
        "bound": solution.bound,
        "gap": solution.gap,
        "method": solution.method,
        "latency_ms": placement.latency_ms,
        "stages": dict(placement.stages),
        "bytes": list(placement.bytes),
        "unsplit": {tier: whole[f"all-{tier}"].value if f"all-{tier}" in whole else None for tier in TIERS},
    }


def _print(table: "CostTable", solution: "Solution", whole: Mapping[str, "Placement"]) -> None:
    console, unit, placement = Console(highlight=False), _UNITS[table.objective], solution.placement
    console.print(_placed(placement))
    if placement.codecs:
        console.print(_sent(placement))
    costs = Table("choice", unit, title=f"plan, for {table.objective}")
    costs.add_row("[bold]this placement", f"[bold]{placement.value:,.6g}")
    for name in (f"all-{tier}" for tier in TIERS):
        costs.add_row(name, f"{whole[name].value:,.6g}" if name in whole else "not allowed")
    console.print(costs)
    console.print(
        f"proved by {solution.method}: nothing costs less than {solution.bound:,.6g} {unit}, "
        f"gap {solution.gap:.2g}"
    )


def _placed(placement: "Placement") -> Table:
    """What runs where, and how long it is expected to take."""
    stages, exits = dict(placement.stages), dict(zip(TIERS, placement.exits, strict=False))
    rows = Table("tier", "ms", "nodes", "which", "exit", title="placement")
    for tier in TIERS:
        names = [name for name, where in placement.tier_of.items() if where == tier]
        spent = [ms for stage, ms in stages.items() if stage in (tier, f"{tier} exit")]
        shown = f"{sum(spent):,.6g}" if spent else ""
        rows.add_row(tier, shown, str(len(names)), escape(_shortened(names)), escape(exits.get(tier) or ""))
    return rows


def _sent(placement: "Placement") -> Table:
    """What crosses each link upwards, and how."""
    stages = dict(placement.stages)
    rows = Table("link", "ms", "bytes up", "which", title="sent")
    for below, above, sent, nbytes in zip(TIERS, TIERS[1:], placement.codecs, placement.bytes, strict=False):
        names = [name if codec == "none" else f"{name} ({codec})" for name, codec in sent.items()]
        link = f"{below}-{above}"
        rows.add_row(link, f"{stages[link]:,.6g}", f"{nbytes:,.6g}", escape(_shortened(names)))
    return rows


def _shortened(names: list[str]) -> str:
    if len(names) > 2 * _MOST_SHOWN:
        names = [*names[:_MOST_SHOWN], "…", *names[-_MOST_SHOWN:]]
    return ", ".join(names)
