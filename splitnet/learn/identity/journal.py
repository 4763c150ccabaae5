"""What a device has answered, on its disk: nothing is answered twice, whatever crashes or is replayed.

A key is recorded before its answer is given, and never forgotten. It takes some 30 bytes, whatever its length, and
the file has a bound; a device whose journal is full, or damaged, answers nothing more.
"""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from splitnet.errors import OperatorError

# 64 MiB: 2.8 million keys (measured), with six of them a round one every half hour for twenty years.
_MOST_BYTES = 64 * 2**20
_PAGE_BYTES = 4096

# Of SHA-256: two keys in 10^6 are taken for one with probability 2^-89, and that only refuses the second.
_DIGEST_BYTES = 16

# Another process of the same device may be recording; that takes milliseconds.
_PATIENCE_S = 10.0


class Journal:
    """The keys that one device has claimed; several processes may use the same file.

    Args:
        path: of an SQLite database; the first claim makes it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def claim(self, key: str) -> bool:
        """Record a key, and return whether it was new: of all calls with one key, one returns True, ever.

        When this returns True the record outlives a power cut. It may be there without that, after a crash; then
        the key is refused.

        Raises:
            OperatorError: the file is damaged, full or cannot be written; the device must not answer.
        """
        digest = hashlib.sha256(key.encode()).digest()[:_DIGEST_BYTES]
        try:
            with closing(sqlite3.connect(self._path, timeout=_PATIENCE_S, isolation_level=None)) as database:
                # EXTRA: without it a power cut may bring back the rollback journal, and undo what was committed.
                database.execute("PRAGMA synchronous = EXTRA")
                database.execute(f"PRAGMA max_page_count = {_MOST_BYTES // _PAGE_BYTES}")
                database.execute("CREATE TABLE IF NOT EXISTS claimed (digest BLOB PRIMARY KEY) WITHOUT ROWID")
                added = database.execute("INSERT OR IGNORE INTO claimed VALUES (?)", (digest,))
                return added.rowcount == 1
        except sqlite3.Error as err:
            raise OperatorError(
                f"{self._path}: {err}: the device cannot record what it answers, so it answers nothing. Free the "
                "disk; if the file is damaged or has reached 64 MiB, enrol a key in a new state directory"
            ) from err
