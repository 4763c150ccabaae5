"""What this machine is: its processor, cores, memory and the instructions that neural networks profit from."""

import os
import platform
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_DEVICE_TREE = Path("/proc/device-tree/model")

#: Flags of /proc/cpuinfo, by what they are called here: x86 first, then ARM.
_INSTRUCTIONS = {
    "sse4_2": "sse4.2",
    "avx": "avx",
    "fma": "fma",
    "avx2": "avx2",
    "avx_vnni": "avx-vnni",
    "avx512f": "avx512",
    "avx512_vnni": "avx512-vnni",
    "amx_int8": "amx-int8",
    "neon": "neon",
    "asimd": "neon",
    "asimdhp": "fp16",
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "sve": "sve",
}


@dataclass(frozen=True, slots=True)
class Hardware:
    """This machine.

    Attributes:
        name: its host name.
        cpu: model name of the processor, and of the board where the system tells; "" where nothing is known.
        cores: that this process may use.
        memory_bytes: that the machine has; None where the system does not tell.
        instructions: extensions of the instruction set, sorted.
    """

    name: str
    cpu: str
    cores: int
    memory_bytes: int | None
    instructions: tuple[str, ...]


def this_machine() -> Hardware:
    """Look at the machine that this runs on."""
    facts = dict(_facts(_text(_CPUINFO)))
    board = _text(_DEVICE_TREE).strip("\0\n ")
    cpu = facts.get("model name") or facts.get("hardware") or platform.processor() or platform.machine()
    flags = facts.get("flags", facts.get("features", "")).split()
    return Hardware(
        name=socket.gethostname().partition(".")[0] or "this-machine",
        cpu=", ".join(part for part in (board, cpu) if part),
        cores=_cores(),
        memory_bytes=_memory_bytes(),
        instructions=tuple(sorted({_INSTRUCTIONS[flag] for flag in flags if flag in _INSTRUCTIONS})),
    )


def _text(path: Path) -> str:
    """The file's text; "" on systems that have no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _facts(text: str) -> Iterator[tuple[str, str]]:
    """Yield the keys and values of /proc/cpuinfo; where cores differ, the last one's stand."""
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            yield key.strip().lower(), value.strip()


def _cores() -> int:
    """What a container or `taskset` leaves to this process, where the system can tell."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
