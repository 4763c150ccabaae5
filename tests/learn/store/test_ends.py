"""What a store outlives: a killed process, another one beside it, and files that are none."""

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from splitnet.errors import NotFoundError, OperatorError, SplitNetError, UnavailableError
from splitnet.learn.store import SampleStore
from tests.learn.store.samples import SMALL, keeper, sample, signature, teacher

ROOT = Path(__file__).parents[3]

#: Adds samples for ever, and tells of each batch once it is committed.
WRITING = """
import sys
from pathlib import Path
from tests.learn.store.samples import keeper, sample, signature
kind = signature(3000)
with keeper(Path(sys.argv[1]), kind, limit_bytes=2**28) as store:
    for first in range(0, 10**9, 3):
        store.add([sample(first + step, kind) for step in range(3)])
        print(first + 3, flush=True)
"""


def writing(path: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITING, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def run_sql(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()


def whole(path: Path) -> bool:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


def test_what_was_committed_outlives_a_kill(tmp_path: Path) -> None:
    path, rng, committed = tmp_path / "s", np.random.default_rng(1), 0
    with writing(path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            committed = int(line)
            # Nothing is waited for: the next batch is under way, somewhere, when the signal comes.
            if committed > 60 and rng.random() < 0.02:
                process.send_signal(signal.SIGKILL)
                break
        committed = max([committed, *map(int, process.stdout.read().split())])
    with SampleStore(path) as store:
        kept = store.samples()
    assert whole(path)
    assert kept.ids[:committed].tolist() == list(range(committed))
    assert np.array_equal(kept.teachers[7], teacher(7, signature(3000)))


def test_a_reader_beside_a_writer(tmp_path: Path) -> None:
    path, kind = tmp_path / "s", signature(3000)
    expected = teacher(2, kind)
    with writing(path) as process:
        assert process.stdout is not None
        seen = []
        process.stdout.readline()
        with SampleStore(path) as store:
            for _ in range(20):
                committed = int(process.stdout.readline())
                got = store.samples()
                assert len(got.ids) >= committed
                seen.append(len(got.ids))
                assert got.ids.tolist() == list(range(seen[-1]))
                assert np.array_equal(got.teachers[2], expected)
        process.kill()
    assert seen == sorted(seen)
    assert seen[-1] > seen[0]


def test_two_processes_may_make_one_store(tmp_path: Path) -> None:
    path, firsts = tmp_path / "s", []
    barrier = threading.Barrier(4)

    def make() -> None:
        barrier.wait()
        with keeper(path) as store:
            firsts.append(store.reserve_ids())

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(firsts)) == 4


@pytest.mark.parametrize(
    "content", [b"no database at all" * 100, b"SQLite format 3\0" + bytes(4096)], ids=["text", "header"]
)
def test_another_file_is_no_store(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(content)
    uses: tuple[Callable[[], SampleStore], ...] = (lambda: SampleStore(path), lambda: keeper(path))
    for use in uses:
        with pytest.raises(OperatorError, match=r"s: not a sample store, or a damaged one .*move the file away"):
            use()
    assert path.read_bytes() == content


def test_another_database_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "s"
    run_sql(path, "CREATE TABLE t (a)")
    uses: tuple[Callable[[], SampleStore], ...] = (lambda: SampleStore(path), lambda: keeper(path))
    for use in uses:
        with pytest.raises(OperatorError, match=r"not a sample store.*\(it is another database\)"):
            use()


def test_a_later_format_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with keeper(path):
        pass
    run_sql(path, "PRAGMA user_version = 9")
    with pytest.raises(OperatorError, match="a store of format 9, this version reads 1"):
        SampleStore(path)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE store SET signature = '{}'",
        "UPDATE store SET signature = 'x'",
        "UPDATE store SET signature = 5",
        "UPDATE store SET policy = 'x'",
        "UPDATE store SET limit_bytes = 'x'",
        "UPDATE samples SET inputs = x'00'",
        "UPDATE samples SET teacher = x'00'",
        "UPDATE samples SET label = 'x'",
        "UPDATE samples SET label = 3",
        "UPDATE samples SET inputs = 5",
        "DELETE FROM store",
        "DROP TABLE samples",
    ],
)
def test_a_damaged_row(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with keeper(path) as store:
        store.add([sample(1)])
    run_sql(path, damage)
    with pytest.raises(OperatorError, match="a damaged one"), SampleStore(path) as store:
        store.samples()


def test_a_damaged_file_never_ends_in_a_traceback(tmp_path: Path) -> None:
    """Whatever bytes are overwritten or cut off, what is raised is ours, and what is read has the right shapes."""
    path, rng = tmp_path / "s", np.random.default_rng(0)
    with keeper(path) as store:
        store.add([sample(number) for number in range(300)])
    content = path.read_bytes()
    raised: list[str] = []
    for attempt in range(60):
        damaged = bytearray(content)
        for start in rng.integers(0, len(content) - 64, 6).tolist():
            damaged[start : start + 64] = rng.bytes(64)
        path.write_bytes(damaged[: len(content) // 2] if attempt % 3 == 0 else damaged)
        try:
            with SampleStore(path) as store:
                assert store.samples().inputs["x"].shape[1:] == (4,)
            with keeper(path) as store:
                store.add([sample(1000)])
                store.label(3, 1)
                store.purge()
        except SplitNetError as err:
            raised.append(str(err))
    assert len(raised) > 30
    assert all(str(path) in text for text in raised)


def test_a_held_store_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splitnet.learn.store.database._BUSY_S", 0.05)
    path = tmp_path / "s"
    with keeper(path) as store:
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="another process has held the store"):
            store.add([sample(1)])
        holder.close()
        assert store.add([sample(1)]) == 1


def test_labels_need_a_sample_of_their_store(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError), SampleStore(tmp_path / "none"):
        pass
    with keeper(tmp_path / "s", SMALL) as store:
        assert not store.label(1, 0)
