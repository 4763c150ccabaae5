"""Something that answers: a thread that takes a known time for each sample, and keeps account of what it saw."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from splitnet.errors import UnavailableError
from splitnet.runtime import Answer

SAMPLES = 40
CLASSES = 4
LABELS = np.arange(SAMPLES) % CLASSES


@dataclass
class Clerk:
    """Answers class `index % CLASSES`, but class 0 from index `right` on, after `seconds`; fails for some.

    Attributes:
        seen: the samples in the order asked.
        most: most requests that were under way.
    """

    pool: ThreadPoolExecutor
    seconds: float = 0.001
    right: int = SAMPLES
    fails: frozenset[int] = frozenset()
    raises: frozenset[int] = frozenset()
    seen: list[int] = field(default_factory=list)
    most: int = 0
    _under_way: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def submit(self, index: int) -> "Future[Answer]":
        self.seen.append(index)
        if index in self.raises:
            raise UnavailableError("nobody there")
        with self._lock:
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        return self.pool.submit(self._work, index)

    def _work(self, index: int) -> Answer:
        time.sleep(self.seconds)
        with self._lock:
            self._under_way -= 1
        if index in self.fails:
            raise UnavailableError("gone meanwhile")
        scores = np.zeros((1, CLASSES), np.float32)
        scores[0, index % CLASSES if index < self.right else 0] = 1.0
        tier, reason = ("edge", "UNAVAILABLE") if index % 2 else ("cloud", "")
        return Answer({"scores": scores}, (tier,), (reason,))


@contextmanager
def clerk(**options: object) -> Iterator[Clerk]:
    with ThreadPoolExecutor(8) as pool:
        yield Clerk(pool, **options)  # type: ignore[arg-type]  # as the dataclass has them
