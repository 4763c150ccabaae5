"""CPU time of processes, their children's included, as the kernel counts it."""

import os
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat behind the name in brackets, which may hold blanks: user and system time.
_USER, _SYSTEM = 11, 12


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process and those below it have taken, seconds, to a hundredth."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    fields = stat.rpartition(")")[2].split()
    ticks = int(fields[_USER]) + int(fields[_SYSTEM])
    return ticks * _TICK_S + sum(cpu_s(child) for child in _children(pid))


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text(encoding="ascii").split()]
