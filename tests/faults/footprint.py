"""What processes hold: memory, file descriptors and threads over time, and whether that grows."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.background import Background

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
#: Shares of the time: what was held in the first of these spans is what a warm process needs.
WARM, LATE = (0.2, 0.4), (0.85, 1.0)


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds at one moment."""

    at_s: float
    memory_bytes: int
    files: int
    threads: int


@dataclass(frozen=True, slots=True)
class Growth:
    """By how much the least of the late values is above the largest of the warm ones; what swings has no growth.

    Attributes:
        warm: the largest once the process was warm.
        late: the least towards the end.
    """

    warm: Held
    late: Held

    @property
    def memory_bytes(self) -> int:
        """Resident memory."""
        return max(0, self.late.memory_bytes - self.warm.memory_bytes)

    @property
    def files(self) -> int:
        """File descriptors."""
        return max(0, self.late.files - self.warm.files)

    @property
    def threads(self) -> int:
        """Threads."""
        return max(0, self.late.threads - self.warm.threads)


def held(pid: int) -> Held:
    """Return what a process holds now.

    Raises:
        FileNotFoundError: there is no such process.
    """
    folder = Path("/proc") / str(pid)
    pages = int((folder / "statm").read_text().split()[1])
    files, threads = (sum(1 for _ in (folder / name).iterdir()) for name in ("fd", "task"))
    return Held(time.monotonic(), pages * _PAGE_BYTES, files, threads)


def growth(series: Sequence[Held]) -> Growth:
    """Return how much more is held towards the end than once it was warm."""
    start_s, length_s = series[0].at_s, series[-1].at_s - series[0].at_s

    def within(span: tuple[float, float]) -> list[Held]:
        begin_s, end_s = (start_s + share * length_s for share in span)
        return [each for each in series if begin_s <= each.at_s <= end_s]

    return Growth(_extreme(within(WARM), largest=True), _extreme(within(LATE), largest=False))


class Footprints(Background):
    """A thread that notes what processes hold, at most a few thousand times in all."""

    def __init__(self, pids: Mapping[str, int], *, every_s: float) -> None:
        """Take note of whom to watch.

        Args:
            pids: processes by name.
            every_s: seconds between two looks.
        """
        super().__init__("footprints")
        self._pids = dict(pids)
        self._every_s = every_s
        self.series: dict[str, list[Held]] = {name: [] for name in pids}

    def _run(self) -> None:
        while not self._stopped.is_set():
            for name, pid in self._pids.items():
                self.series[name].append(held(pid))
            self._stopped.wait(self._every_s)


def _extreme(some: Sequence[Held], *, largest: bool) -> Held:
    pick = max if largest else min
    return Held(
        some[0].at_s,
        pick(each.memory_bytes for each in some),
        pick(each.files for each in some),
        pick(each.threads for each in some),
    )
