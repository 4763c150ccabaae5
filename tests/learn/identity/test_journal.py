"""The journal: of all claims of a key one is granted, whatever process asks, and a damaged file grants none."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from splitnet.errors import OperatorError
from splitnet.learn.identity import Journal, journal
from splitnet.learn.secure import RoundContext, rules

CLAIMER = """
import sys
from pathlib import Path
from splitnet.learn.identity import Journal
sys.stdin.read(1)
print(*(int(Journal(Path(sys.argv[1])).claim(f"key {number}")) for number in range(20)))
"""

KILLED = """
import os, sys
from pathlib import Path
from splitnet.learn.identity import Journal
assert Journal(Path(sys.argv[1])).claim("key")
os._exit(9)
"""

UNFINISHED = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 1")
database.execute("BEGIN")
for number in range(5000):
    database.execute("INSERT INTO claimed VALUES (?)", (os.urandom(16),))
os._exit(9)
"""


def test_a_key_is_new_once(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    assert [Journal(path).claim(key) for key in ("a", "b", "a", "b", "A", "")] == [
        True,
        True,
        False,
        False,
        True,
        True,
    ]
    assert not Journal(path).claim("a")


def test_the_secure_sum_takes_it(tmp_path: Path) -> None:
    taken: rules.Journal = Journal(tmp_path / "journal")
    contexts = [RoundContext("run", 1, attempt, "hall", bytes(32), bytes(32)) for attempt in (1, 2)]
    assert [taken.claim(each.claim_key("masked")) for each in contexts] == [True, True]
    assert [taken.claim(each.open_key) for each in contexts] == [True, False]


def test_threads_do_not_share_a_key(tmp_path: Path) -> None:
    shared = Journal(tmp_path / "journal")
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(shared.claim, ["key"] * 32)) == 1


def test_processes_do_not_share_a_key(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLAIMER, str(tmp_path / "journal")]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    granted = [process.communicate("x", timeout=60)[0].split() for process in processes]
    assert [sum(map(int, column)) for column in zip(*granted, strict=True)] == [1] * 20


def test_a_key_that_was_granted_survives_a_kill(tmp_path: Path) -> None:
    """The process ends without closing anything."""
    path = tmp_path / "journal"
    command = [sys.executable, "-c", KILLED, str(path)]
    assert subprocess.run(command, check=False, timeout=60).returncode == 9
    assert not Journal(path).claim("key")


def test_what_was_not_finished_is_undone(tmp_path: Path) -> None:
    """A writer that dies before its commit leaves a rollback journal; the next one rolls back and goes on."""
    path = tmp_path / "journal"
    assert Journal(path).claim("first")
    command = [sys.executable, "-c", UNFINISHED, str(path)]
    assert subprocess.run(command, check=False, timeout=60).returncode == 9
    assert (tmp_path / "journal-journal").exists()
    assert Journal(path).claim("second")
    assert not Journal(path).claim("first")
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM claimed").fetchone() == (2,)
    database.close()


def test_a_damaged_journal_grants_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Journal(path).claim("a")
    path.write_bytes(b"x" * 100 + path.read_bytes()[100:])
    with pytest.raises(OperatorError, match="enrol a key in a new state directory"):
        Journal(path).claim("b")


def test_a_full_journal_grants_nothing_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_MOST_BYTES", 2 * 4096)
    shared = Journal(tmp_path / "journal")
    assert shared.claim("first")
    with pytest.raises(OperatorError, match="full"):
        all(shared.claim(f"key {number}") for number in range(2000))
    assert not shared.claim("first")
    assert (tmp_path / "journal").stat().st_size <= 2 * 4096


def test_a_journal_that_cannot_be_written_grants_nothing(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="answers nothing"):
        Journal(tmp_path / "none" / "journal").claim("a")
