"""A store as it is filled: by the one session that keeps its samples there."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from splitnet.errors import ConfigError
from splitnet.learn.store.admission import Admission, Limits, least_bytes
from splitnet.learn.store.database import connect, file_bytes, reported, transaction
from splitnet.learn.store.sample import Sample
from splitnet.learn.store.signature import Signature
from splitnet.learn.store.store import SampleStore

# Each session takes its ids from a range of its own, so that none is ever given twice.
_IDS_A_SESSION = 10**12

_MAKE = """INSERT OR IGNORE INTO store
    (one, signature, limit_bytes, policy, seed, next_id, next_rank, highest_gone)
    VALUES (1, ?, ?, ?, ?, 1, 0, -1)"""


class SampleKeeper(SampleStore):
    """A store that takes samples; for one thread at a time."""

    def __init__(self, path: Path, signature: Signature, limits: Limits) -> None:
        """Open the store of a model's samples, or make one that only its owner may read.

        Limits other than before hold from now on; the seed stays the one that the store was made with.

        Raises:
            ConfigError: it holds another model's samples, or goes by another policy; or no sample fits the limit.
            OperatorError: it is damaged, of another format, no store, or cannot be written.
            UnavailableError: another process holds it.
        """
        least = least_bytes(signature.sample_nbytes + 4 * signature.classes) + least_bytes(0)
        if limits.limit_bytes < least:
            raise ConfigError(f"store_limit_bytes {limits.limit_bytes}: one sample needs {least}; allow more")
        _make(path, signature, limits)
        super().__init__(path)
        try:
            self._adopt(signature, limits)
        except BaseException:
            self.close()
            raise

    def reserve_ids(self) -> int:
        """Return the first of 10^12 ids that nobody else gets."""
        with reported(self.path), transaction(self._connection):
            (first,) = self._connection.execute("SELECT next_id FROM store").fetchone()
            self._connection.execute("UPDATE store SET next_id = ?", (first + _IDS_A_SESSION,))
        return int(first)

    def add(self, samples: Sequence[Sample]) -> int:
        """Add samples in one transaction, as far as the policy wants them; return how many it took.

        Raises:
            ConfigError: the store is another model's by now.
            OperatorError: the disk is full or refuses; nothing was added.
            UnavailableError: another process holds the store; nothing was added.
        """
        for sample in samples:
            self._check(sample)
        admission = Admission(self._connection, self.limits)
        with reported(self.path), transaction(self._connection):
            self._check_owner()
            return sum([admission.add(sample) for sample in samples])

    def label(self, sample_id: int, label: int) -> bool:
        """Give a sample its label, in place of any that it has; return whether the sample is here.

        Raises:
            OperatorError, UnavailableError: as `add`.
        """
        assert 0 <= label < self.signature.classes
        with reported(self.path), transaction(self._connection):
            return Admission(self._connection, self.limits).relabel(sample_id, label)

    def _adopt(self, signature: Signature, limits: Limits) -> None:
        """Take the limits of whoever keeps samples here now, if they are of the same model."""
        with reported(self.path), transaction(self._connection):
            (empty,) = self._connection.execute("SELECT NOT EXISTS (SELECT 1 FROM samples)").fetchone()
            if not empty:
                self._check_same(signature, limits)
            self.signature = signature
            self.limits = replace(limits, seed=self.limits.seed)
            self._connection.execute(
                "UPDATE store SET signature = ?, limit_bytes = ?, policy = ?",
                (signature.to_json(), limits.limit_bytes, limits.policy),
            )
            Admission(self._connection, self.limits).shrink()
        with reported(self.path):
            if file_bytes(self._connection) > limits.limit_bytes:
                self._compact()

    def _check_same(self, signature: Signature, limits: Limits) -> None:
        remedy = f"name another file, or delete its samples: `splitnet samples purge --store {self.path}`"
        if signature != self.signature:
            raise ConfigError(f"{self.path}: holds samples of {self.signature}, not of {signature}; {remedy}")
        if limits.policy != self.limits.policy:
            raise ConfigError(
                f"{self.path}: keeps samples by store_policy {self.limits.policy!r}, not {limits.policy!r}; "
                f"set that, {remedy}"
            )

    def _check_owner(self) -> None:
        (text,) = self._connection.execute("SELECT signature FROM store").fetchone()
        if text != self.signature.to_json():
            raise ConfigError(f"{self.path}: was emptied and is another model's store now; name another file")

    def _check(self, sample: Sample) -> None:
        classes = self.signature.classes
        assert len(sample.inputs) == self.signature.sample_nbytes
        assert sample.teacher is None or sample.teacher.shape == (classes,)
        assert sample.teacher is None or sample.teacher.dtype == np.float32
        assert sample.label is None or 0 <= sample.label < classes
        assert sample.teacher is not None or sample.label is not None, "nothing to learn from"


def _make(path: Path, signature: Signature, limits: Limits) -> None:
    connection = connect(path, create=True)
    try:
        with reported(path), transaction(connection):
            connection.execute(_MAKE, (signature.to_json(), limits.limit_bytes, limits.policy, limits.seed))
    finally:
        connection.close()
