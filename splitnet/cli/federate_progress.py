"""What a person sees of a federated job: a progress bar with the last round's figures, then a table."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

Event = Mapping[str, Any]


class FederateProgress:
    """A progress bar on a terminal, nothing elsewhere."""

    def __init__(self, console: Console, rounds: int) -> None:
        self._progress = Progress(
            TextColumn("rounds"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]} {task.fields[now]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task: TaskID = self._progress.add_task("rounds", total=rounds, figures="", now="starting")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, event: Event) -> None:
        """Take up one line of the job's progress file."""
        kind = event["event"]
        if kind == "round":
            self._progress.update(self._task, completed=event["rounds"], figures=figures(event), now="")
        elif kind == "leg":
            self._progress.update(self._task, now=f"[dim]{event['leg']} {event['answered']}/{event['asked']}[/]")
        elif kind == "started":
            self._progress.update(self._task, completed=event["rounds"], now="waiting for devices")
        elif kind in ("aborted", "restarted"):
            self._progress.update(self._task, now=f"[red]{kind}[/]")


def figures(round_: Event) -> str:
    """Return the figures of a round in one line."""
    parts = [f"devices {round_['devices']}"]
    parts += [f"{name} {value:.3f}" for name, value in round_["metrics"].items() if name in ("loss", "accuracy")]
    if round_["epsilon"] is not None:
        parts.append(f"epsilon {round_['epsilon']:.2f}")
    return "  ".join(parts)


def print_status(status: Mapping[str, Any]) -> None:
    """Print how far a job is."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("job", f"{status['run']}, {status['state']}")
    table.add_row("rounds", f"{status['rounds']} of {status['of']}")
    last = status["last_round"]
    if last is not None:
        table.add_row("last round", f"{figures(last)}  {last['seconds']:.1f} s")
        table.add_row("its legs, s", "  ".join(f"{leg} {seconds:.1f}" for leg, seconds in last["legs"].items()))
        table.add_row("its bytes", f"down {last['down_bytes']}  up {last['up_bytes']}")
    if status["error"] is not None:
        table.add_row("error", status["error"])
    Console(highlight=False).print(table)
