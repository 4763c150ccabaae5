"""A store as it is read: by training, by a person who asks what it holds, or empties it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, get_args

import numpy as np

from splitnet.config import StorePolicy
from splitnet.learn.store.admission import Limits
from splitnet.learn.store.database import connect, damaged, file_bytes, reported, transaction, used_bytes
from splitnet.learn.store.sample import NO_LABEL, StoredSamples
from splitnet.learn.store.signature import Signature

# Rows are read so many at a time: a long read would keep the write-ahead log from being emptied.
_ROWS_A_READ = 64

_Row = tuple[int, int | None, bytes | None, bytes]


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """What a store holds.

    Attributes:
        model: whose samples.
        classes: of that model.
        samples: how many.
        labelled: how many of them have a person's label.
        tiers: how many each tier answered.
        used_bytes: of the file, by what it holds.
        file_bytes: of the file.
        limit_bytes: most that the file may have.
        policy: which samples stay when it is full.
        oldest_s: when the oldest was answered, seconds since 1970; None in an empty store.
        newest_s: the same of the newest.
    """

    model: str
    classes: int
    samples: int
    labelled: int
    tiers: dict[str, int]
    used_bytes: int
    file_bytes: int
    limit_bytes: int
    policy: StorePolicy
    oldest_s: float | None
    newest_s: float | None


class SampleStore:
    """An open store; for one thread at a time, beside any number of other processes.

    Attributes:
        path: its file.
        signature: the model that its samples belong to.
        limits: how much it keeps, and what.
    """

    def __init__(self, path: Path) -> None:
        """Open a store that is there.

        Raises:
            NotFoundError: there is none.
            OperatorError: it is damaged, of another format, or no store.
            UnavailableError: another process holds it.
        """
        self.path = path
        self._connection = connect(path)
        self._closed = False
        try:
            self.signature, self.limits = self._settings()
        except BaseException:
            self.close()
            raise

    def pick(self, limit: int | None = None, *, seed: int = 0) -> list[int]:
        """Return the ids of all samples, or of `limit` drawn evenly with `seed`, in ascending order.

        Raises:
            OperatorError: the file is damaged.
        """
        with reported(self.path):
            ids = [row[0] for row in self._connection.execute("SELECT id FROM samples ORDER BY id").fetchall()]
        if limit is None or limit >= len(ids):
            return ids
        drawn = np.random.default_rng(seed).choice(len(ids), limit, replace=False)
        return [ids[index] for index in np.sort(drawn).tolist()]

    def read(self, ids: Sequence[int]) -> StoredSamples:
        """Return the samples `ids` in ascending order, less those that have gone meanwhile.

        Raises:
            OperatorError: the file is damaged.
        """
        rows: list[_Row] = []
        with reported(self.path):
            for start in range(0, len(ids), _ROWS_A_READ):
                part = ids[start : start + _ROWS_A_READ]
                marks = ",".join("?" * len(part))
                query = f"SELECT id, label, teacher, inputs FROM samples WHERE id IN ({marks})"  # noqa: S608
                rows += self._connection.execute(query, part).fetchall()
        try:
            return self._arrays(sorted(rows, key=lambda row: row[0]))
        except (TypeError, ValueError, OverflowError) as err:
            raise damaged(self.path, "a sample is not what it should be") from err

    def samples(self, limit: int | None = None, *, seed: int = 0) -> StoredSamples:
        """Return what `pick` picks."""
        return self.read(self.pick(limit, seed=seed))

    def status(self) -> StoreStatus:
        """Return what the store holds.

        Raises:
            OperatorError: the file is damaged.
        """
        query = """SELECT tier, count(*), count(label), min(time_s), max(time_s)
            FROM samples GROUP BY tier ORDER BY tier"""
        with reported(self.path):
            rows = self._connection.execute(query).fetchall()
            used, whole = used_bytes(self._connection), file_bytes(self._connection)
        return StoreStatus(
            model=self.signature.model,
            classes=self.signature.classes,
            samples=sum(row[1] for row in rows),
            labelled=sum(row[2] for row in rows),
            tiers={row[0]: row[1] for row in rows},
            used_bytes=used,
            file_bytes=whole,
            limit_bytes=self.limits.limit_bytes,
            policy=self.limits.policy,
            oldest_s=min((row[3] for row in rows), default=None),
            newest_s=max((row[4] for row in rows), default=None),
        )

    def purge(self) -> int:
        """Delete every sample, and what the file's free pages still hold of them; return how many there were.

        A session that has the store open goes on with an empty one.

        Raises:
            OperatorError: the file is damaged, or the disk refuses.
            UnavailableError: another process holds the store.
        """
        with reported(self.path):
            with transaction(self._connection):
                (count,) = self._connection.execute("SELECT count(*) FROM samples").fetchone()
                self._connection.execute("DELETE FROM samples")
                self._connection.execute("UPDATE store SET highest_gone = -1")
            self._compact()
        return int(count)

    def close(self) -> None:
        """Close the file; the last of all processes empties the write-ahead log into it."""
        if not self._closed:
            self._closed = True
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _settings(self) -> tuple[Signature, Limits]:
        with reported(self.path):
            query = "SELECT signature, limit_bytes, policy, seed FROM store"
            row = self._connection.execute(query).fetchone()
        try:
            text, limit_bytes, policy, seed = row
            if policy not in get_args(StorePolicy):
                raise ValueError(f"no policy: {policy!r}")
            return Signature.from_json(text), Limits(int(limit_bytes), policy, int(seed))
        except (ValueError, KeyError, TypeError) as err:
            raise damaged(self.path, "it does not say whose samples it holds") from err

    def _compact(self) -> None:
        """Write the file anew without its free pages, and empty the write-ahead log."""
        self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def _arrays(self, rows: Sequence[_Row]) -> StoredSamples:
        nothing = np.full(self.signature.classes, np.nan, np.float32).tobytes()
        teachers = [nothing if teacher is None else teacher for _, _, teacher, _ in rows]
        inputs = [packed for *_, packed in rows]
        sizes = {(len(teacher), len(packed)) for teacher, packed in zip(teachers, inputs, strict=True)}
        if sizes - {(len(nothing), self.signature.sample_nbytes)}:
            raise ValueError("a sample has another size than the model's")
        labels = [NO_LABEL if row[1] is None else row[1] for row in rows]
        if not all(NO_LABEL <= label < self.signature.classes for label in labels):
            raise ValueError("a label is of no class")
        return StoredSamples(
            ids=np.array([row[0] for row in rows], np.int64),
            inputs=self.signature.unpack(inputs),
            teachers=np.frombuffer(b"".join(teachers), np.float32).reshape(len(rows), self.signature.classes),
            labels=np.array(labels, np.int64),
        )
