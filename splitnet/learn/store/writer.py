"""Keeping samples without waiting for the disk: a bounded queue before a thread that writes."""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future

from splitnet.deadline import Deadline
from splitnet.errors import DeadlineExceededError, NotFoundError, SplitNetError
from splitnet.learn.store.keeper import SampleKeeper
from splitnet.learn.store.sample import Sample

logger = logging.getLogger(__name__)

# What may wait for the disk; one transaction; both in bytes of samples.
_MOST_WAITING_BYTES = 16 * 2**20
_MOST_A_TRANSACTION_BYTES = 2**20

_MOST_WAITING = 4096

_Call = Callable[[], None]


class StoreWriter:
    """Writes samples to a store on a thread of its own; any thread may hand them over.

    The thread is a daemon: a disk that hangs does not keep the process from ending. At most 16 MiB of samples
    wait, or one; those that come on top of them are dropped and counted.

    Attributes:
        dropped: samples that were not written because the disk was too slow, or refused.
    """

    def __init__(self, store: SampleKeeper) -> None:
        """Take over `store`: nobody else may use it from now on, and `close` closes it."""
        self._store = store
        sample_nbytes = max(1, store.signature.sample_nbytes)
        most = max(1, min(_MOST_WAITING, _MOST_WAITING_BYTES // sample_nbytes))
        self._a_transaction = max(1, _MOST_A_TRANSACTION_BYTES // sample_nbytes)
        self._queue: queue.Queue[Sample | _Call | None] = queue.Queue(most)
        self._complaint = ""
        self._counting = threading.Lock()
        self.dropped = 0
        self._thread = threading.Thread(target=self._work, name="sample_store", daemon=True)
        self._thread.start()

    def put(self, sample: Sample) -> bool:
        """Hand a sample over; return whether there was room for it. Never waits."""
        try:
            self._queue.put_nowait(sample)
        except queue.Full:
            self._drop(1, f"{self._store.path}: the disk does not keep up")
            return False
        return True

    def label(self, sample_id: int, label: int, *, otherwise: Sample | None, timeout_s: float) -> None:
        """Give a sample its label, and wait until that is written.

        Args:
            sample_id: of a sample that was handed over before, now or in an earlier process.
            label: of the sample.
            otherwise: the sample with its label, to be added where the store does not hold it.
            timeout_s: wait no longer, seconds.

        Raises:
            NotFoundError: the store does not hold it, and there is nothing to add.
            DeadlineExceededError: the disk took longer; the label may still be written.
            SplitNetError: the store cannot be written.
        """
        ended: Future[None] = Future()

        def relabel() -> None:
            try:
                if not self._store.label(sample_id, label):
                    if otherwise is None:
                        raise NotFoundError(f"no sample {sample_id} in {self._store.path}")
                    self._store.add([otherwise])
                ended.set_result(None)
            except BaseException as err:  # noqa: BLE001  (raised again where it is waited for)
                ended.set_exception(err)

        deadline = Deadline.after_ms(timeout_s * 1e3)
        try:
            self._queue.put(relabel, timeout=timeout_s)
            ended.result(deadline.remaining_s())
        except (queue.Full, TimeoutError) as err:
            raise DeadlineExceededError(
                f"{self._store.path}: the label of sample {sample_id} was not written within {timeout_s:g} s"
            ) from err

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was handed over is written, `timeout_s` at most; return whether it is."""
        reached, deadline = threading.Event(), Deadline.after_ms(timeout_s * 1e3)
        try:
            self._queue.put(reached.set, timeout=timeout_s)
        except queue.Full:
            return False
        return reached.wait(deadline.remaining_s())

    def close(self, timeout_s: float) -> bool:
        """Write what was handed over and close the store, within `timeout_s`; return whether that was done."""
        deadline = Deadline.after_ms(timeout_s * 1e3)
        try:
            self._queue.put(None, timeout=timeout_s)
        except queue.Full:
            return False
        self._thread.join(deadline.remaining_s())
        return not self._thread.is_alive()

    def _work(self) -> None:
        waiting: list[Sample] = []
        while True:
            item = self._queue.get()
            if isinstance(item, Sample):
                waiting.append(item)
                if not self._queue.empty() and len(waiting) < self._a_transaction:
                    continue
            self._write(waiting)
            waiting = []
            if item is None:
                self._store.close()
                return
            if not isinstance(item, Sample):
                item()

    def _write(self, samples: list[Sample]) -> None:
        if not samples:
            return
        try:
            self._store.add(samples)
        except SplitNetError as err:
            self._drop(len(samples), str(err))
        except Exception:
            logger.exception("samples were not kept")
            self._drop(len(samples), "")

    def _drop(self, count: int, reason: str) -> None:
        """Count, and tell of each reason once: where one sample is dropped, thousands may be."""
        with self._counting:
            self.dropped += count
            news, self._complaint = reason not in ("", self._complaint), reason or self._complaint
        if news:
            logger.warning("samples are not kept: %s (said once)", reason)
