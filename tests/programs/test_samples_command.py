"""`splitnet samples`: what a person is shown of a store, and how it is emptied."""

from pathlib import Path

import numpy as np
import pytest

from splitnet.learn.store import Limits, Sample, SampleKeeper, SampleStore, Signature
from splitnet.tensors import TensorSpec
from tests.programs.processes import run

KIND = Signature("line[12]", (TensorSpec("x", "float32", ("batch", 2)),), 2)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "s"
    teacher = np.array([0.25, 0.75], np.float32)
    with SampleKeeper(path, KIND, Limits(2**20)) as keeper:
        keeper.add(
            [Sample(1, bytes(8), teacher, "edge", None, 0.0), Sample(2, bytes(8), teacher, "cloud", 1, 60.0)]
        )
    return path


def test_status(store: Path) -> None:
    done = run("samples", "status", "--store", str(store))
    assert done.code == 0
    for text in ("line[12], 2 classes", "2, 1 of them with a label", "cloud 1  edge 1", "1,048,576 bytes, fifo"):
        assert text in done.out
    assert "1970-01-01 00:01:00 UTC" in done.out


def test_status_as_json(store: Path) -> None:
    shown = run("samples", "status", "--store", str(store), "--json").json
    assert shown == {
        "model": "line[12]",
        "classes": 2,
        "samples": 2,
        "labelled": 1,
        "tiers": {"cloud": 1, "edge": 1},
        "used_bytes": shown["used_bytes"],
        "file_bytes": store.stat().st_size,
        "limit_bytes": 2**20,
        "policy": "fifo",
        "oldest_s": 0.0,
        "newest_s": 60.0,
    }
    assert 0 < shown["used_bytes"] <= shown["file_bytes"]


def test_purge_wants_a_yes(store: Path) -> None:
    done = run("samples", "purge", "--store", str(store))
    assert (done.code, done.err) == (
        2,
        f"splitnet: {store}: to delete its 2 samples without being asked, give --yes\n",
    )
    assert run("samples", "purge", "--store", str(store), "--yes", "--json").json == {"deleted": 2}
    with SampleStore(store) as opened:
        assert opened.pick() == []
    assert run("samples", "status", "--store", str(store)).code == 0


@pytest.mark.parametrize("command", [("status",), ("purge", "--yes")])
def test_what_is_no_store(command: tuple[str, ...], tmp_path: Path) -> None:
    none = run("samples", *command, "--store", str(tmp_path / "none"))
    assert (none.code, none.err) == (
        2,
        f"splitnet: {tmp_path}/none: no sample store; `splitnet device --store` makes one\n",
    )
    (tmp_path / "text").write_text("text" * 1000)
    text = run("samples", *command, "--store", str(tmp_path / "text"))
    assert text.code == 3
    assert text.err.startswith(f"splitnet: {tmp_path}/text: not a sample store, or a damaged one")
    assert len(text.err.splitlines()) == 1
