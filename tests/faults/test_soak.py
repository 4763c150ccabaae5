"""The soak command in short, and that what grows is seen to grow."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.footprint import Held, growth
from tests.faults.load import is_late
from tests.faults.matrix import LATE_S

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60.0


def soaked(minutes: float) -> dict[str, Any]:
    """Return what the command found, whether that held or not."""
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", str(minutes), "--json"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=TIMEOUT_S + 60 * minutes
    )
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (not found["held"])
    return found


def was_late(found: dict[str, Any]) -> bool:
    """Whether requests had too little time, and nothing else was wrong with them."""
    late = found["late_ms"] > LATE_S * 1e3 or bool(found["complaints"])
    return late and all(map(is_late, found["complaints"]))


@pytest.mark.timeout(360)
def test_a_minute_of_load_and_faults_loses_nothing_and_nothing_grows() -> None:
    found = soaked(1.0)
    if was_late(found):  # neighbours may have kept this machine from it; twice they do not
        found = soaked(1.0)
    assert found["held"] is True, found
    assert 12 <= found["faults"] <= 14


def series(memory: list[int], files: list[int]) -> list[Held]:
    return [Held(float(at), size, count, 3) for at, (size, count) in enumerate(zip(memory, files, strict=True))]


def test_what_swings_does_not_grow_and_what_leaks_does() -> None:
    swinging = [100 + at % 7 for at in range(100)]
    leaking = [100 + at for at in range(100)]
    flat = growth(series(swinging, swinging))
    assert (flat.memory_bytes, flat.files, flat.threads) == (0, 0, 0)
    grown = growth(series(leaking, swinging))
    assert (grown.memory_bytes, grown.files) == (185 - 139, 0)
    assert growth(series(swinging, leaking)).files == 185 - 139
