"""`splitnet profile` from the command line."""

import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from splitnet.cost import MachineEntry, library, read_profile
from tests.cost.models import WIDTH, perceptron

PERCEPTRON = ["mm", "add", "relu", "same", "exp"]


def command(*arguments: object, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "splitnet", "profile", *map(str, arguments)]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "small.onnx"
    path.write_bytes(perceptron())
    return path


def test_a_model(model: Path, tmp_path: Path) -> None:
    output = tmp_path / "profile.json"
    done = command(model, "-o", output, "--seconds", 0.05, "--name", "pi", "--json")
    assert done.returncode == 0, done.stderr
    profile = read_profile(output)
    assert profile.model_sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert [node.name for node in profile.nodes] == PERCEPTRON
    assert [node.op for node in profile.nodes] == ["MatMul", "Add", "Relu", "Identity", "Exp"]
    assert sum(profile.node_ms.values()) == pytest.approx(profile.whole_ms)
    assert profile.machine.name == "pi"
    told = json.loads(done.stdout)
    assert told["profile"] == str(output)
    assert told["whole_ms"] == profile.whole_ms
    assert set(told["operators"]) == {"MatMul", "Add", "Relu", "Identity", "Exp"}


def test_a_person_sees_operators(model: Path, tmp_path: Path) -> None:
    done = command(model, "-o", tmp_path / "profile.json", "--seconds", 0.05)
    assert "MatMul" in done.stdout
    assert "5 nodes" in done.stdout


def test_samples_are_taken_from_a_file(model: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.npz"
    output = tmp_path / "profile.json"
    np.savez(data, y=np.zeros(3))
    done = command(model, "-o", output, "--calibration", data)
    assert done.returncode == 2
    assert "no array 'x'" in done.stderr
    np.savez(data, x=np.zeros((3, WIDTH), np.float32))
    assert command(model, "-o", output, "--seconds", 0.05, "--calibration", data).returncode == 0
    assert output.exists()


def test_this_machine(tmp_path: Path) -> None:
    output = tmp_path / "machine.toml"
    done = command("--machine", "-o", output, "--seconds", 0.01, "--name", "here")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == output.read_text(encoding="utf-8").strip()
    entry = MachineEntry.model_validate(tomllib.loads(done.stdout)["machine"]["here"])
    assert entry.gflops is not None
    assert entry.cores is not None


def test_the_library() -> None:
    listed = command("--machines").stdout
    assert all(name in listed for name in library())
    told = json.loads(command("--machines", "--json").stdout)
    assert {name: MachineEntry.model_validate(fields) for name, fields in told.items()} == library()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "expected one of: a MODEL, --machine, --machines"),
        ("model.onnx --machine", "expected one of: a MODEL, --machine, --machines"),
        ("model.onnx", "--output is missing"),
        ("none.onnx -o profile.json", "none.onnx: no such file"),
        ("model.onnx -o profile.json --dim sequence", "expected AXIS=SIZE"),
        ("--machine -o machine.toml --name a.b --seconds 0.01", "name 'a.b'"),
    ],
)
def test_what_is_refused(line: str, message: str, tmp_path: Path) -> None:
    done = command(*line.split(), folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
