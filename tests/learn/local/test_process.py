"""Training in its own process: the same update, nothing heavy loaded, nothing on disk, and every end an error."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.errors import DeadlineExceededError, NotFoundError, OperatorError, PackageError, RefusalError
from splitnet.learn.local import LocalJob, run_training, train
from splitnet.learn.local.frame import pack, unpack
from splitnet.learn.local.process import _header, _update
from splitnet.signing import make_operator
from tests.learn.local.conftest import Shelf, Trainable, fill
from tests.programs.processes import eventually

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 60.0

#: What a training process must not load; cryptography is for those who send.
HEAVY = ("torch", "flwr", "onnx", "onnx_ir", "onnxscript", "scipy", "cryptography", "grpc", "typer", "rich")

#: Runs the entry, as `-m` does, and then tells on standard error what is loaded.
LOADED = f"""
import sys
from splitnet.learn.local.__main__ import main
main()
sys.stderr.write(" ".join(name for name in {HEAVY!r} if name in sys.modules))
"""


@pytest.fixture
def shelf(exits: Trainable, tmp_path: Path) -> Shelf:
    return fill(tmp_path / "s", exits.signature, 60)


@given(
    header=st.dictionaries(st.text(), st.integers() | st.text() | st.none(), max_size=4),
    vector=st.lists(st.floats(width=32, allow_nan=False), max_size=20),
    cut=st.integers(1, 200),
)
def test_frames(header: dict[str, object], vector: list[float], cut: int) -> None:
    values = np.array(vector, np.float32)
    frame = pack(header, values)
    back, read = unpack(frame)
    assert back == header
    assert np.array_equal(read, values)
    kept = frame[: max(0, len(frame) - 4 * len(vector) - cut)]
    with pytest.raises(ValueError):  # noqa: PT011  (the decoders' own words for what is cut off)
        unpack(kept)


def test_another_process_makes_the_same_update(exits: Trainable, shelf: Shelf) -> None:
    job = exits.job(shelf.path, optimiser="sgd", epochs=2, seed=5, round=3, most_samples=50, clip=0.01)
    here, there = train(job), run_training(job, TIMEOUT_S)
    assert np.array_equal(here.delta, there.delta)
    assert (here.samples, dict(here.metrics), here.skipped) == (there.samples, there.metrics, there.skipped)
    assert there.delta.flags.writeable


def test_a_package_that_must_be_signed(exits: Trainable, shelf: Shelf, tmp_path: Path) -> None:
    make_operator(tmp_path / "operator")
    job = replace(exits.job(shelf.path), package_key=tmp_path / "operator/operator.pub")
    for run in (train, partial(run_training, timeout_s=TIMEOUT_S)):
        with pytest.raises(PackageError, match="not signed"):
            run(job)


def test_nothing_heavy_is_loaded(exits: Trainable, shelf: Shelf) -> None:
    job = exits.job(shelf.path)
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        cwd=ROOT,
        input=pack(_header(job, TIMEOUT_S), job.parameters),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    assert done.stderr == b""
    assert np.array_equal(_update(done.stdout).delta, train(job).delta)


def test_the_update_is_in_no_file(exits: Trainable, shelf: Shelf, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    update = run_training(exits.job(shelf.path, state=state), TIMEOUT_S)
    kept = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert len(kept) == 2
    trained = exits.start + update.delta
    pieces = [
        values[start : start + 4].tobytes() for values in (update.delta, trained) for start in range(0, 192, 4)
    ]
    assert not any(piece in content for piece in pieces for content in kept)


def test_errors_come_back_as_they_are(exits: Trainable, shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no sample store"):
        run_training(exits.job(tmp_path / "none"), TIMEOUT_S)
    job = exits.job(shelf.path, parameters=np.full_like(exits.start, np.nan))
    with pytest.raises(RefusalError, match="NaN or infinity") as caught:
        run_training(job, TIMEOUT_S)
    assert caught.value.reason == "not-finite"


def endless(exits: Trainable, tmp_path: Path) -> LocalJob:
    """Some 240,000 steps."""
    return exits.job(fill(tmp_path / "many", exits.signature, 300).path, epochs=1000, batch=1)


def test_it_ends_in_time(exits: Trainable, tmp_path: Path) -> None:
    start_s = time.monotonic()
    with pytest.raises(DeadlineExceededError, match="training did not end within 1 s"):
        run_training(endless(exits, tmp_path), 1.0)
    assert time.monotonic() - start_s < TIMEOUT_S / 2
    assert children() == set()


def children() -> set[int]:
    """This process's children that train."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"splitnet.learn.local" in (entry / "cmdline").read_bytes():
                found.add(int(entry.name))
    return found


def test_a_killed_process_is_told(exits: Trainable, tmp_path: Path) -> None:
    def kill() -> None:
        eventually(children)
        os.kill(children().pop(), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(OperatorError, match="the training process was killed by signal 9"):
        run_training(endless(exits, tmp_path), TIMEOUT_S)
    killer.join()


def test_a_process_that_fails_is_told(exits: Trainable, shelf: Shelf, capfd: pytest.CaptureFixture[str]) -> None:
    job = exits.job(shelf.path)
    with pytest.raises(
        OperatorError, match="the training process failed with exit code 1; standard error says why"
    ):
        run_training(replace(job, settings=job.settings.model_copy(update={"epochs": 0})), TIMEOUT_S)
    assert "ValidationError" in capfd.readouterr().err


def test_an_orphan_ends_itself(exits: Trainable, tmp_path: Path) -> None:
    """Its parent is gone; the kernel's timer ends it a little after the deadline."""
    job = endless(exits, tmp_path)
    header = _header(job, -4.5)
    with subprocess.Popen(
        [sys.executable, "-m", "splitnet.learn.local"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.communicate(pack(header, job.parameters), TIMEOUT_S)
    assert process.returncode == -signal.SIGALRM
