"""The soak command in short, and that what grows is seen to grow."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.footprint import Held, growth

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60.0


def soaked(minutes: float) -> dict[str, object]:
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", str(minutes), "--json"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=TIMEOUT_S + 60 * minutes
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.timeout(240)
def test_a_minute_of_load_and_faults_loses_nothing_and_nothing_grows() -> None:
    found = soaked(1.0)
    assert found["held"] is True
    assert found["faults"] == 14


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
