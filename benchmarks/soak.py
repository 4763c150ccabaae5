"""Mixed load for as long as you like, with faults on a timer: nothing is lost, and nothing grows.

    python -m benchmarks.soak --minutes 60

A cloud and an edge as processes, each link through a proxy that fails; in this process three devices, a caller of
single calls, and one of streams, some of which it breaks off. Exit code 1 where something that must hold did not.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from splitnet.config import format_address
from splitnet_device import Session
from tests.faults.callers import Single, Streams, Tally
from tests.faults.cases import Case, all_cases
from tests.faults.footprint import Footprints, Growth, growth
from tests.faults.load import Load, Request
from tests.faults.matrix import LATE_S
from tests.faults.package import Asked, make
from tests.faults.pauses import Pauses
from tests.faults.site import Site

DEVICES = 3
DEADLINE_MS = 300.0
#: What a warm process may grow by. A leak of 1 KB a request is 7 MB a minute.
MOST_MEMORY_BYTES, MOST_FILES, MOST_THREADS = 8 * 2**20, 4, 4
_DEVICE_INTERVAL_S = 0.05
_CALL_PAUSE_S, _STREAM_PAUSE_S = 0.05, 0.4
_FAULT_EVERY_S, _FAULT_S = 4.0, 1.0
_SEED = 0
_LOOKS = 2000


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a soak.

    Attributes:
        seconds: it lasted.
        faults: injected and mended.
        counts: outcomes by kind.
        complaints: what must not be, at most 100 lines.
        late_ms: the most that a device's answer was late by, the machine's own pauses taken off.
        growth: of each process.
    """

    seconds: float
    faults: int
    counts: dict[str, int]
    complaints: list[str]
    late_ms: float
    growth: dict[str, Growth]

    @property
    def held(self) -> bool:
        """Whether nothing was lost, wrong or late, and nothing grew."""
        flat = all(
            each.memory_bytes <= MOST_MEMORY_BYTES and each.files <= MOST_FILES and each.threads <= MOST_THREADS
            for each in self.growth.values()
        )
        return flat and not self.complaints and self.late_ms <= LATE_S * 1e3


class Devices:
    """What the devices' requests came to."""

    def __init__(self, tally: Tally, pauses: Pauses) -> None:
        self.late_s = -DEADLINE_MS / 1e3
        self._tally = tally
        self._pauses = pauses

    def note(self, request: Request) -> None:
        """Count the end of a request."""
        if request.complaint:
            self._tally.complain(f"device: {request.complaint}")
        due_s = request.start_s + DEADLINE_MS / 1e3
        late_s = request.ends_s[0] - due_s
        if late_s > 0:
            late_s -= self._pauses.between(due_s, request.ends_s[0])
        self.late_s = max(self.late_s, late_s)
        self._tally.count(f"device fallback {request.reason}" if request.reason else "device OK")


def soak(seconds: float, folder: Path, *, on_progress: Progress) -> Result:
    """Run the load and the faults for so long."""
    asked = make(folder)
    tally = Tally()
    with ExitStack() as stack:
        site = stack.enter_context(Site(asked.package, folder))
        devices = Devices(tally, stack.enter_context(Pauses()))
        pids = {"devices": os.getpid(), "edge": site.edge.process.pid, "cloud": site.cloud.process.pid}
        watched = Footprints(pids, every_s=max(0.25, seconds / _LOOKS))
        with _load(site, asked, devices, tally), watched:
            faults = _play(site, seconds, on_progress)
        if "Traceback" in site.logged():
            tally.complain(f"a tier's log holds a traceback:\n{site.logged()[-2000:]}")
    grown = {name: growth(series) for name, series in watched.series.items()}
    return Result(seconds, faults, dict(tally.counts), tally.complaints, devices.late_s * 1e3, grown)


@contextmanager
def _load(site: Site, asked: Asked, devices: Devices, tally: Tally) -> Iterator[None]:
    """Keep everything asking until the block is left, then wait for every answer."""
    target = format_address(site.links["device-edge"].address)
    loads = []
    with ExitStack() as stack:
        for device in range(DEVICES):
            session = stack.enter_context(Session(asked.package, upstream=target))
            load = Load(
                session,
                asked,
                deadline_ms=DEADLINE_MS,
                interval_s=_DEVICE_INTERVAL_S,
                first=device * len(asked.x) // DEVICES,
                on_end=devices.note,
            )
            loads.append(stack.enter_context(load))
        stack.enter_context(Single(target, asked, tally, pause_s=_CALL_PAUSE_S, seed=_SEED))
        stack.enter_context(Streams(target, asked, tally, pause_s=_STREAM_PAUSE_S, seed=_SEED))
        yield
    for load in loads:
        if load.open:
            tally.complain(f"device: {load.open} requests never ended")


def _play(site: Site, seconds: float, progress: Progress) -> int:
    """Inject a fault every few seconds and mend it again; return how many."""
    drawn = random.Random(_SEED)  # noqa: S311  a run that can be repeated
    cases: Sequence[Case] = [case for case in all_cases() if case.name != "SIGKILL"]  # its memory would begin anew
    task = progress.add_task("soak", total=seconds)
    start_s = time.monotonic()
    faults = 0
    while (passed_s := time.monotonic() - start_s) + _FAULT_EVERY_S <= seconds:
        progress.update(task, completed=passed_s, description="soak")
        time.sleep(_FAULT_EVERY_S - _FAULT_S)
        case = drawn.choice(cases)
        progress.update(task, description=f"{case.name}, {case.where}")
        case.begin(site)
        time.sleep(_FAULT_S)
        case.end(site)
        faults += 1
    time.sleep(max(0.0, seconds - passed_s))
    return faults


def show(result: Result, *, as_json: bool) -> None:
    """Print what came of it."""
    if as_json:
        print(json.dumps(_as_json(result)))
        return
    console = Console()
    table = Table("process", "MB, warm", "MB, late", "grown", "files", "grown", "threads", "grown")
    for name, each in result.growth.items():
        memory = (f"{one.memory_bytes / 1e6:.1f}" for one in (each.warm, each.late))
        counts = (f"{each.late.files}", f"{each.files}", f"{each.late.threads}", f"{each.threads}")
        table.add_row(name, *memory, f"{each.memory_bytes / 1e6:.1f}", *counts)
    console.print(table)
    for what, count in sorted(result.counts.items()):
        console.print(f"{what}: {count}")
    console.print(
        f"{result.faults} faults, answers late by {result.late_ms:.0f} ms at most, in {result.seconds:.0f} s"
    )
    for complaint in result.complaints:
        console.print(f"[red]{complaint}[/]", markup=True)


def _as_json(result: Result) -> dict[str, object]:
    grown = {
        name: {"memory_bytes": each.memory_bytes, "files": each.files, "threads": each.threads}
        for name, each in result.growth.items()
    }
    return {
        "held": result.held,
        "seconds": result.seconds,
        "faults": result.faults,
        "late_ms": round(result.late_ms, 1),
        "counts": result.counts,
        "complaints": result.complaints,
        "growth": grown,
    }


def main() -> None:
    """Read the command line, soak, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, metavar="N", help="how long, at most a week")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if not 0.1 <= options.minutes <= 10_080:
        parser.error("--minutes: expected 0.1 to 10080")
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with (
        tempfile.TemporaryDirectory() as folder,
        Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress,
    ):
        result = soak(options.minutes * 60, Path(folder), on_progress=progress)
    show(result, as_json=options.json)
    sys.exit(not result.held)


if __name__ == "__main__":
    main()
