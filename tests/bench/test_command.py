"""`splitnet bench` as a process: against a device session, against a tier, interrupted, and asked for nonsense."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from splitnet.bench.verdict import DETAIL_LOG
from splitnet.cost import default_site
from splitnet.partition import PartitionOptions, partition
from tests.programs.classifier import NAME, build, draw
from tests.programs.processes import PYTHON, ROOT, Program, eventually, run, running

SAMPLES = 50


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold samples.npz and whole.split, the classifier with all of it on the edge."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "model.onnx").write_bytes(build())
    x, labels = draw(SAMPLES, seed=5)
    np.savez(folder / "samples.npz", x=x, labels=labels)
    options = PartitionOptions(
        folder / "model.onnx", folder / "whole.split", default_site(), name=NAME, place="all-edge", profile_s=0.05
    )
    partition(options)
    return folder


@pytest.fixture(scope="module")
def edge(folder: Path) -> Iterator[Program]:
    with running("edge", package=folder / "whole.split") as program:
        yield program


def test_a_device_session(folder: Path, edge: Program) -> None:
    device = ("--package", str(folder / "whole.split"), "--upstream", edge.target)
    samples = ("--input", str(folder / "samples.npz"), "--samples", "20", "--deadline-ms", "20000")
    done = run("bench", *device, *samples, "--seconds", "0.3", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json["scenario"] == "single-stream"
    assert done.json["official"] is False
    assert done.json["exits"] == {"edge": done.json["answers"]}
    assert done.json["latency_ms"]["p50"] > 0
    assert done.json["accuracy"] > 0.5


def test_a_tier_as_its_clients_see_it(folder: Path, edge: Program) -> None:
    client = ("--tier", edge.target, "--model", NAME, "--input", str(folder / "samples.npz"))
    done = run("bench", *client, "--scenario", "offline", "--accuracy")
    assert (done.code, done.err) == (0, "")
    said = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert said["scenario"].strip() == "offline, accuracy"
    assert "no official MLPerf result" in said["loadgen"]
    assert said["answers"].startswith(f"{SAMPLES} in ")
    assert said["errors"].strip() == "0"


def test_ctrl_c_ends_it_in_order(folder: Path, edge: Program) -> None:
    client = ("--tier", edge.target, "--model", NAME, "--input", str(folder / "samples.npz"))
    logs = folder / "logs"
    command = [*PYTHON, "-m", "splitnet", "bench", *client, "--seconds", "600", "--logs", str(logs)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            eventually((logs / DETAIL_LOG).exists)  # LoadGen has begun
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    assert said == "splitnet: broken off: LoadGen says nothing of part of a run\n"


def test_a_request_that_never_ends_is_found_out() -> None:
    script = """
import os
from concurrent.futures import Future
from splitnet.bench import Load, Tally, run_load
from splitnet.errors import DeadlineExceededError
from splitnet.runtime import Answer
asked = []
def submit(index):
    asked.append(index)
    future = Future()
    if len(asked) < 40:
        future.set_result(Answer({}, ("cloud",), ("",)))
    return future
try:
    run_load(Load("single-stream", 4, seconds=1.0), submit, Tally(), limit_s=0.2)
except DeadlineExceededError as err:
    print(err, flush=True)
    os._exit(7)
"""
    done = subprocess.run(
        [*PYTHON, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout == "1 requests are under way and none has begun or ended for 0.2 s\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tier", "127.0.0.1:9", "--package", "x"), "--package means nothing for --tier"),
        ((), "--package P for a device"),
        (("--tier", "127.0.0.1:9"), "--model NAME"),
        (("--tier", "192.0.2.1:9", "--model", "x"), "needs a certificate"),
        (("--package", "none.split"), "none.split"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_an_exit_code(options: tuple[str, ...], said: str) -> None:
    done = run("bench", "--input", "none.npz", *options)
    assert done.code in (2, 3)
    assert done.err.startswith("splitnet: ")
    assert said in done.err
    assert len(done.err.splitlines()) == 1
