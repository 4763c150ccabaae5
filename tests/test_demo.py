"""`splitnet demo` as a process: its object, other tiles, and that nothing is left behind when it is stopped."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.programs.processes import eventually

COMMAND = [sys.executable, "-m", "splitnet", "demo"]
TILES = Path(__file__).parents[1] / "examples" / "pcb_inspection" / "tiles" / "test.npz"
KEYS = {"samples", "accuracy", "errors", "exits", "latency_ms", "bytes_per_sample"}


def descendants(pid: int) -> set[int]:
    """Processes below `pid`, by /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.update(below)
        waiting.extend(below)
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.timeout(420)
def test_the_object_and_other_tiles(tmp_path: Path) -> None:
    with np.load(TILES) as file:
        arrays = {name: file[name][1000:1200] for name in file.files}
    other = tmp_path / "other.npz"
    np.savez(other, allow_pickle=False, **arrays)
    command = [*COMMAND, "--json", "--data", str(other), "--samples", "120"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    result = json.loads(run.stdout)
    baselines = result["baselines"]
    assert set(baselines) == {"all_device", "all_edge", "all_cloud"}
    for one in (result, *baselines.values()):
        assert one.keys() >= KEYS
        assert (one["samples"], one["errors"], one["fallbacks"]) == (120, 0, 0)
        assert sum(one["exits"].values()) == 120
        assert one["accuracy"] > 0.9
        assert one["latency_ms"].keys() == {"p50", "p90", "p99"}
    assert all(baselines[f"all_{tier}"]["exits"][tier] == 120 for tier in ("device", "edge", "cloud"))
    split, all_cloud = result["bytes_per_sample"], baselines["all_cloud"]["bytes_per_sample"]
    assert 0 < split["device_edge"] < all_cloud["device_edge"]
    assert all_cloud["device_edge"] > 300  # a tile, coded, and the message around it
    assert baselines["all_device"]["bytes_per_sample"] == {"device_edge": 0, "edge_cloud": 0}
    # Two emulated round trips of 10 and 80 ms; nothing may be faster than light.
    assert baselines["all_cloud"]["latency_ms"]["p50"] > 90


@pytest.mark.timeout(330)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_stops_everything(number: signal.Signals) -> None:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        # Cloud, edge and device; or it has ended.
        eventually(lambda: len(descendants(process.pid)) >= 3 or process.poll() is not None, within_s=180)
        assert process.poll() is None, process.communicate()
        below = descendants(process.pid)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert b"Traceback" not in stderr
    assert not [pid for pid in below if is_alive(pid)]


def test_tiles_of_another_form_are_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, allow_pickle=False, tiles=np.zeros((4, 2, 64, 64), np.float32))
    run = subprocess.run([*COMMAND, "--data", str(wrong)], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "tiles" in run.stderr
    assert "uint8" in run.stderr


@pytest.mark.timeout(420)
def test_a_fleet_learns() -> None:
    command = [*COMMAND, "--federated", "--rounds", "1", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    for half in ("before", "after"):
        figures = result[half]
        assert figures.keys() == {"device_accuracy", "accuracy", "forwarded_share", "bytes_per_sample"}
        assert figures["accuracy"] > 0.98
        assert figures["device_accuracy"] > 0.97
        assert 0 < figures["forwarded_share"] < 0.15
        assert figures["bytes_per_sample"] > 0
    assert (result["rounds"], result["clients"], result["errors"]) == (1, 6, 0)
    assert 50 < result["learned_from"] < 0.1 * 4001
    # Fixed point leaves less than this; a sum in the clear would leave nothing at all.
    assert result["secure_sum_max_abs_error"] < 1e-5
    if result["released"]:
        assert result["swap"]["answers_by_version"].keys() == {"1", "2"}
        assert result["swap"]["fallbacks"] == 0
        assert result["after"]["forwarded_share"] < result["after_without_learning"]["forwarded_share"]
    assert result["reason"]


def test_a_fleet_needs_tiles_with_lines(tmp_path: Path) -> None:
    with np.load(TILES) as file:
        np.savez(tmp_path / "other.npz", tiles=file["tiles"][:100], labels=file["labels"][:100])
    command = [*COMMAND, "--federated", "--data", str(tmp_path / "other.npz")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert run.returncode == 2
    assert "array 'line'" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("options", [["--rounds", "2"], ["--federated", "--samples", "9"]])
def test_options_of_the_two_demos_are_kept_apart(options: list[str]) -> None:
    run = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 2
    assert "--rounds goes with --federated" in run.stderr
