"""What a person sees of `splitnet bench`: a bar while it runs, then a table."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from splitnet.bench import PERCENTILES, Report


@contextmanager
def bench_progress(console: Console, scenario: str) -> Iterator[Callable[[float, int], None]]:
    """Show a bar on a terminal, and yield what moves it: the share that is done, and samples that have ended."""
    columns = (TextColumn(scenario), BarColumn(), TextColumn("{task.fields[ended]} samples"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("bench", total=1.0, ended=0)
        yield lambda share, ended: progress.update(task, completed=share, ended=ended)


def print_report(report: Report) -> None:
    """Print a run's figures to standard output."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("scenario", f"{report.scenario}, {report.mode}")
    table.add_row("loadgen", f"{report.loadgen}; no official MLPerf result")
    if report.valid is not None:
        table.add_row("valid", "yes" if report.valid else "no: " + "; ".join(report.invalid_reasons))
    table.add_row("answers", f"{report.answers} in {report.seconds:.1f} s")
    table.add_row("samples a second", f"{report.samples_per_s:.1f}")
    if report.latency_ms:
        figures = [f"{name} {report.latency_ms[name]:.2f}" for name in (*PERCENTILES, "max")]
        table.add_row("latency, ms", "  ".join(figures))
    table.add_row("answered at", _counts(report.exits))
    table.add_row("fallbacks", _counts(report.fallbacks))
    table.add_row("errors", f"{report.errors}" + (f" (the first: {report.first_error})" if report.errors else ""))
    if report.accuracy is not None:
        table.add_row("accuracy", f"{report.accuracy:.2%}")
    Console(highlight=False, markup=False).print(table)


def _counts(by_tier: dict[str, int]) -> str:
    return "  ".join(f"{tier} {count}" for tier, count in by_tier.items()) or "none"
