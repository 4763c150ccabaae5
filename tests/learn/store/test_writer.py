"""The writer: nobody waits for the disk, what does not fit is counted, and labels come after their samples."""

import logging
import sqlite3
import threading
from pathlib import Path

import pytest

from splitnet.errors import DeadlineExceededError, NotFoundError
from splitnet.learn.store import NO_LABEL, SampleKeeper, SampleStore, StoreWriter
from tests.learn.store.samples import keeper, sample, signature

TIMEOUT_S = 30.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


def test_samples_are_written_in_order(path: Path) -> None:
    writer = StoreWriter(keeper(path))
    assert all(writer.put(sample(number)) for number in range(500))
    assert writer.flush(TIMEOUT_S)
    with SampleStore(path) as store:
        assert store.pick() == list(range(500))
    assert writer.close(TIMEOUT_S)
    assert writer.dropped == 0
    assert not path.with_name("s-wal").exists()


def test_a_label_finds_its_sample(path: Path) -> None:
    writer = StoreWriter(keeper(path))
    writer.put(sample(1))
    writer.label(1, 2, otherwise=None, timeout_s=TIMEOUT_S)
    writer.label(7, 0, otherwise=sample(7, label=0, teacher=None, tier="device"), timeout_s=TIMEOUT_S)
    with pytest.raises(NotFoundError, match="no sample 3 in"):
        writer.label(3, 0, otherwise=None, timeout_s=TIMEOUT_S)
    writer.put(sample(9))
    assert writer.close(TIMEOUT_S)
    with SampleStore(path) as store:
        assert store.samples().labels.tolist() == [2, 0, NO_LABEL]


def test_a_disk_that_hangs_costs_samples_not_time(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A megabyte a sample: sixteen wait; the one in the writer's hand waits for the lock that the test holds."""
    kind = signature(2**18)
    writer = StoreWriter(keeper(path, kind, limit_bytes=2**26))
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with caplog.at_level(logging.WARNING):
            taken = [writer.put(sample(number, kind)) for number in range(30)]
        assert not writer.flush(0.05)
        with pytest.raises(DeadlineExceededError, match=r"the label of sample 1 was not written within 0\.05 s"):
            writer.label(1, 0, otherwise=None, timeout_s=0.05)
        assert not writer.close(0.05)
    finally:
        holder.close()
    assert 15 <= sum(taken) <= 18
    assert writer.dropped == 30 - sum(taken)
    assert [record.message for record in caplog.records] == [
        f"samples are not kept: {path}: the disk does not keep up (said once)"
    ]
    assert writer.flush(TIMEOUT_S)
    assert writer.close(TIMEOUT_S)
    with SampleStore(path) as store:
        assert store.pick() == [number for number, was in enumerate(taken) if was]


def test_a_disk_that_refuses_is_told_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = keeper(path)
    store._connection.execute("PRAGMA query_only = ON")
    writer = StoreWriter(store)
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            writer.put(sample(number))
            assert writer.flush(TIMEOUT_S)
    assert writer.dropped == 3
    (record,) = caplog.records
    assert "the store cannot be used" in record.message
    assert writer.close(TIMEOUT_S)


def test_any_thread_may_hand_over(path: Path) -> None:
    writer = StoreWriter(keeper(path))

    def put(first: int) -> None:
        for number in range(first, first + 100):
            assert writer.put(sample(number))

    threads = [threading.Thread(target=put, args=(first,)) for first in range(0, 400, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.close(TIMEOUT_S)
    with SampleStore(path) as store:
        assert store.pick() == list(range(400))


def test_the_thread_keeps_no_process_alive(path: Path) -> None:
    store = keeper(path)
    assert isinstance(store, SampleKeeper)
    writer = StoreWriter(store)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "sample_store"]
    assert thread.daemon
    assert writer.close(TIMEOUT_S)
    assert not thread.is_alive()
