"""What a person sees of a device's run: a progress bar that shows where answers come from, then a table."""

from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from splitnet.tiers import TIERS
from splitnet_device.report import Outcome, Report


class DeviceProgress:
    """A progress bar on a terminal, nothing elsewhere."""

    def __init__(self, console: Console) -> None:
        self._counts: Counter[str] = Counter()
        self._task: TaskID | None = None
        self._progress = Progress(
            TextColumn("samples"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[sources]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def start(self, samples: int) -> None:
        """Show the bar."""
        self._task = self._progress.add_task("samples", total=samples, sources="")

    def advance(self, outcome: Outcome) -> None:
        """Count one sample's end; called from several threads, one at a time for each sample."""
        self._counts["errors" if outcome.exit is None else outcome.exit] += 1
        self._counts["fallbacks"] += bool(outcome.fallback)
        if self._task is not None:
            self._progress.update(self._task, advance=1, sources=self._sources())

    def _sources(self) -> str:
        parts = [f"{tier} {self._counts[tier]}" for tier in TIERS]
        parts += [f"[red]{what} {self._counts[what]}[/]" for what in ("fallbacks", "errors") if self._counts[what]]
        return "  ".join(parts)


def print_report(report: Report) -> None:
    """Print a run's figures to standard output."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("answers", f"{report.answers}")
    table.add_row("answered at", "  ".join(f"{tier} {count}" for tier, count in report.exits.items()))
    table.add_row("fallbacks", f"{report.fallbacks}")
    table.add_row("errors", f"{report.errors}")
    if report.accuracy is not None:
        table.add_row("accuracy", f"{report.accuracy:.2%}")
    if (latency := report.latency_ms) is not None:
        figures = f"p50 {latency.p50:.1f}  p90 {latency.p90:.1f}  p99 {latency.p99:.1f}  max {latency.max:.1f}"
        table.add_row("latency, ms", figures)
    table.add_row("samples a second", f"{report.samples_per_s:.1f}")
    if report.emulated_speed is not None:
        table.add_row("emulation", f"the device ran at {report.emulated_speed:g} of this machine's speed")
    Console(highlight=False).print(table)
