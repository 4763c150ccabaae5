"""Which samples a full store keeps: every sample has a rank, and the lowest goes first.

With "fifo" the rank is the order of arrival. With "reservoir" it is a number drawn from the seed and the sample's
id alone, so the samples kept are at any moment a uniform draw from all that came (bottom-k sampling: E. Cohen and
H. Kaplan, Summarizing data using bottom-k sketches, PODC 2007), however the number that fits changes, and restarts
change nothing. A sample with a label outranks all without.
"""

import hashlib
import sqlite3
from dataclasses import dataclass

from splitnet.config import StorePolicy
from splitnet.learn.store.database import used_bytes
from splitnet.learn.store.sample import Sample

# Ranks are SQLite's signed integers; of a reservoir, those of labelled samples are the upper half.
_LABELLED = 2**62

# Pages of 4,096 bytes that a row may need beside its own bytes, where both trees split at every level.
_SPARE_BYTES = 8 * 4096

_INSERT = "INSERT INTO samples (rank, id, time_s, tier, label, teacher, inputs) VALUES (?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a store keeps, and what.

    Attributes:
        limit_bytes: of the file.
        policy: "fifo" keeps the newest samples, "reservoir" a uniform draw from all that came.
        seed: of the draw; fixed when the store is made.
    """

    limit_bytes: int
    policy: StorePolicy = "fifo"
    seed: int = 0


class Admission:
    """Adds samples to the tables and takes others out, within a transaction of the caller's."""

    def __init__(self, connection: sqlite3.Connection, limits: Limits) -> None:
        self._connection = connection
        self._limits = limits

    def add(self, sample: Sample) -> bool:
        """Keep `sample` if it ranks high enough, at the cost of the lowest; return whether it is kept."""
        rank = self._rank(sample)
        if self._limits.policy == "reservoir" and rank <= self._highest_gone():
            return False
        needed = _row_bytes(sample)
        while used_bytes(self._connection) + needed > self._limits.limit_bytes:
            lowest = self._lowest()
            if lowest is None or lowest > rank:
                self._note_gone(rank)
                return False
            self._remove(lowest)
        teacher = None if sample.teacher is None else sample.teacher.tobytes()
        values = (rank, sample.id, sample.time_s, sample.tier, sample.label, teacher, sample.inputs)
        self._connection.execute(_INSERT, values)
        return True

    def relabel(self, sample_id: int, label: int) -> bool:
        """Give a kept sample its label; return whether it is here."""
        row = self._connection.execute("SELECT rank FROM samples WHERE id = ?", (sample_id,)).fetchone()
        if row is None:
            return False
        rank = row[0] | _LABELLED if self._limits.policy == "reservoir" else row[0]
        self._connection.execute("UPDATE samples SET label = ?, rank = ? WHERE id = ?", (label, rank, sample_id))
        return True

    def shrink(self) -> None:
        """Take out what a smaller limit than before has no room for."""
        while used_bytes(self._connection) > self._limits.limit_bytes:
            lowest = self._lowest()
            if lowest is None:
                return
            self._remove(lowest)

    def _rank(self, sample: Sample) -> int:
        if self._limits.policy == "reservoir":
            drawn = hashlib.blake2b(f"{self._limits.seed}/{sample.id}".encode(), digest_size=8).digest()
            rank = int.from_bytes(drawn, "big") % _LABELLED
            return rank if sample.label is None else rank | _LABELLED
        (rank,) = self._connection.execute("SELECT next_rank FROM store").fetchone()
        self._connection.execute("UPDATE store SET next_rank = next_rank + 1")
        return int(rank)

    def _highest_gone(self) -> int:
        """The highest rank that was ever refused or taken out: what ranks lower would not have stayed either."""
        (rank,) = self._connection.execute("SELECT highest_gone FROM store").fetchone()
        return int(rank)

    def _note_gone(self, rank: int) -> None:
        self._connection.execute("UPDATE store SET highest_gone = max(highest_gone, ?)", (rank,))

    def _lowest(self) -> int | None:
        (rank,) = self._connection.execute("SELECT min(rank) FROM samples").fetchone()
        return None if rank is None else int(rank)

    def _remove(self, rank: int) -> None:
        self._connection.execute("DELETE FROM samples WHERE rank = ?", (rank,))
        self._note_gone(rank)


def _row_bytes(sample: Sample) -> int:
    teacher = 0 if sample.teacher is None else sample.teacher.nbytes
    return least_bytes(len(sample.inputs) + teacher)


def least_bytes(sample_nbytes: int) -> int:
    """Return the free bytes that a row of so many needs at most."""
    return sample_nbytes + sample_nbytes // 512 + _SPARE_BYTES
