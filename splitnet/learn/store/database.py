"""The SQLite file under a store: how it is opened, its tables, and SQLite's errors as ours.

Write-ahead logging lets a serving process write while a training process reads. What was committed outlives a
killed process, and the file stays whole through a power cut (https://www.sqlite.org/wal.html).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from splitnet.errors import NotFoundError, OperatorError, SplitNetError, UnavailableError

# "SpNs": how a store is told from other databases (https://www.sqlite.org/fileformat2.html#application_id).
_APPLICATION_ID = 0x53704E73
_FORMAT = 1

# How long a transaction waits for another process's; ours take milliseconds.
_BUSY_S = 10.0

# The write-ahead log is copied into the database from so many pages of 4,096 bytes on.
_CHECKPOINT_PAGES = 256

_TABLES = (
    """CREATE TABLE store (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        signature TEXT NOT NULL,
        policy TEXT NOT NULL,
        limit_bytes INTEGER NOT NULL,
        seed INTEGER NOT NULL,
        next_id INTEGER NOT NULL,
        next_rank INTEGER NOT NULL,
        highest_gone INTEGER NOT NULL
    )""",
    # Samples lie in the order in which they go, so that those that go leave whole pages free.
    """CREATE TABLE samples (
        rank INTEGER PRIMARY KEY,
        id INTEGER NOT NULL UNIQUE,
        time_s REAL NOT NULL,
        tier TEXT NOT NULL,
        label INTEGER,
        teacher BLOB,
        inputs BLOB NOT NULL
    )""",
)

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def damaged(path: Path, reason: object) -> OperatorError:
    """Return the error for a file that is no store, or no longer one."""
    return OperatorError(
        f"{path}: not a sample store, or a damaged one ({reason}); "
        "move the file away and a new one is begun: what it held is lost"
    )


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as SplitNetErrors that name the file."""
    try:
        yield
    except sqlite3.Error as err:
        raise _translated(path, err) from err
    except (UnicodeDecodeError, OSError) as err:  # of a message that quotes damaged bytes; of chmod
        raise damaged(path, err) from err


def _translated(path: Path, err: sqlite3.Error) -> SplitNetError:
    code = getattr(err, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _BUSY:
        return UnavailableError(f"{path}: another process has held the store for {_BUSY_S:g} s; try again")
    if code in _DAMAGED or code == sqlite3.SQLITE_ERROR:
        return damaged(path, err)
    return OperatorError(f"{path}: the store cannot be used: {err}")


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open a store's file; with `create`, a new one that only its owner may read, or one that is empty.

    The connection may be used from any thread, by one at a time.

    Raises:
        NotFoundError: there is no file, and none is to be made.
        OperatorError: it is no store, is damaged, or cannot be opened.
        UnavailableError: another process holds it.
    """
    if not create and not path.is_file():
        raise NotFoundError(f"{path}: no sample store; `splitnet device --store` makes one")
    with reported(path):
        connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            if create:
                _make_tables(connection, path)
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def _make_tables(connection: sqlite3.Connection, path: Path) -> None:
    with transaction(connection):
        if _is_empty(connection):
            # Nothing is in it yet, and the logs beside it get its rights. To open the file other than by SQLite
            # would be wrong: closing it drops SQLite's locks (https://www.sqlite.org/howtocorrupt.html#_posix_).
            path.chmod(0o600)
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
    # Not while another process makes the same store; then that one does it, and a store without is only slower.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = WAL")


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    if pragma(connection, "application_id") != _APPLICATION_ID:
        raise damaged(path, "it is another database")
    if (version := pragma(connection, "user_version")) != _FORMAT:
        raise OperatorError(f"{path}: a store of format {version}, this version reads {_FORMAT}; move it away")
    # A commit is in the log at once and on the disk by the next checkpoint: a power cut may cost the last samples.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {_CHECKPOINT_PAGES * 4096}")


def _is_empty(connection: sqlite3.Connection) -> bool:
    return pragma(connection, "schema_version") == 0


def pragma(connection: sqlite3.Connection, name: str) -> int:
    """Return a number that SQLite keeps of the file."""
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes of the file's pages that hold something."""
    pages = pragma(connection, "page_count") - pragma(connection, "freelist_count")
    return pages * pragma(connection, "page_size")


def file_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes of all of the file's pages, those in the write-ahead log too."""
    return pragma(connection, "page_count") * pragma(connection, "page_size")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what is done within, or undo it all on an error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
