"""The committed example: what it promises of the model, on the committed tiles."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from splitnet.cost import default_site
from splitnet.onnx_session import OnnxSession
from splitnet.partition import PartitionOptions, PartitionResult, partition
from splitnet.tensors import Array, Tensors

EXAMPLE = Path(__file__).parents[2] / "examples" / "pcb_inspection"
MODEL = EXAMPLE / "model.onnx"
UNSEEN_LINES = (12000, 12100, 12300, 90100)


@pytest.fixture(scope="module")
def tiles() -> Tensors:
    with np.load(EXAMPLE / "tiles" / "test.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def answers(tiles: Tensors) -> Tensors:
    session = OnnxSession(MODEL, name="the example")
    parts = [session.run({"tiles": part}) for part in np.array_split(tiles["tiles"], 64)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def cut(folder: Path, **options: Any) -> PartitionResult:
    """Partition the example for the default site."""
    return partition(
        PartitionOptions(
            model=MODEL,
            output=folder / "pcb.split",
            site=default_site(),
            calibration=EXAMPLE / "calibration.npz",
            **options,
        )
    )


def accuracy(logits: Array, labels: Array) -> float:
    return float((logits.argmax(axis=1) == labels).mean())


def test_the_model_is_small_and_well_formed() -> None:
    assert MODEL.stat().st_size < 5 * 2**20
    model = onnx.load(MODEL)
    onnx.checker.check_model(model, full_check=True)
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)


def test_the_last_exit_is_accurate_enough(tiles: Tensors, answers: Tensors) -> None:
    assert accuracy(answers["logits"], tiles["labels"]) >= 0.985


def test_depth_pays_on_lines_that_training_never_saw(tiles: Tensors, answers: Tensors) -> None:
    unseen = np.isin(tiles["line"], UNSEEN_LINES)
    first = accuracy(answers["exit1_logits"][unseen], tiles["labels"][unseen])
    last = accuracy(answers["logits"][unseen], tiles["labels"][unseen])
    assert 1 - last < 0.6 * (1 - first)


def test_split_equals_whole_at_the_ends_of_the_stages(tmp_path: Path) -> None:
    result = cut(tmp_path, codec="none", cuts=(("boundary1",), ("boundary2",)), profile_s=0.05)
    checked = result.package.manifest.plan.verification
    assert (checked.level, checked.max_abs) == ("bit-equal", 0.0)
    assert [segment.tier for segment in result.package.manifest.segments] == ["device", "edge", "cloud"]


def test_leaving_early_stays_within_half_a_point(tmp_path: Path, tiles: Tensors, answers: Tensors) -> None:
    """The cascade with the thresholds that a partition chooses, on tiles that chose nothing."""
    result = cut(tmp_path, cuts=(("boundary1",), ("boundary2",)), profile_s=0.05)
    logits = answers["logits"].copy()
    for entry in reversed(result.package.manifest.exits):
        leaving = answers[entry.confidence] >= np.float32(entry.threshold)
        logits[leaving] = answers[entry.outputs["logits"]][leaving]
        assert leaving.mean() > 0.5
    assert len(result.package.manifest.exits) == 2
    labels = tiles["labels"]
    assert accuracy(logits, labels) >= accuracy(answers["logits"], labels) - 0.005


def test_the_planner_splits_it_on_the_default_site(tmp_path: Path) -> None:
    result = cut(tmp_path, profile_s=0.5)
    predicted = {name: found.solution.placement.latency_ms for name, found in result.alternatives.items()}
    assert set(predicted) == {"all-device", "all-edge", "all-cloud", "best-split"}
    assert result.is_split
    assert result.placement.latency_ms <= 1.25 * min(predicted.values())


@pytest.mark.timeout(300)
def test_training_runs_and_writes_a_model_of_the_same_form(tmp_path: Path) -> None:
    """One epoch: the script, its export and its own checks, not the accuracy of the committed model."""
    output = tmp_path / "model.onnx"
    command = [sys.executable, str(EXAMPLE / "train.py"), "--epochs", "1", "--threads", "1"]
    command += ["--output", str(output)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert run.returncode == 0, run.stderr
    ours, theirs = onnx.load(output), onnx.load(MODEL)
    assert [value.name for value in ours.graph.output] == [value.name for value in theirs.graph.output]
    assert [node.op_type for node in ours.graph.node] == [node.op_type for node in theirs.graph.node]
    with np.load(tmp_path / "calibration.npz") as made, np.load(EXAMPLE / "calibration.npz") as committed:
        assert np.array_equal(made["tiles"], committed["tiles"])
