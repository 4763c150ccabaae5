"""A bounded executor: a few compute threads behind a queue that refuses instead of growing."""

import logging
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from splitnet.errors import OverloadedError, UnavailableError

logger = logging.getLogger(__name__)


class BoundedExecutor:
    """Threads that take at most `limit` calls, waiting and running together.

    They are daemons, unlike those of a ThreadPoolExecutor: Python waits for these at its end, for as long as a
    segment hangs.
    """

    def __init__(self, *, workers: int, limit: int, name: str) -> None:
        self._name = name
        self._limit = limit
        self._waiting: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._held = 0
        self._closed = False
        self._changed = threading.Condition()
        self._dropping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}_{index}", daemon=True) for index in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, call: Callable[..., Any], *args: Any) -> None:  # noqa: ANN401  (handed on to `call`)
        """Run `call(*args)` on a compute thread; it must not raise.

        Raises:
            OverloadedError: `limit` calls are already held.
            UnavailableError: the executor is closed.
        """
        with self._changed:
            if self._closed:
                raise UnavailableError("shutting down")
            if self._held >= self._limit:
                raise OverloadedError(f"the queue is full ({self._limit} requests); try again later")
            self._held += 1
            self._waiting.put(partial(call, *args))

    @property
    def dropping(self) -> bool:
        """Whether calls that only now begin are for nobody, and should end at once."""
        return self._dropping.is_set()

    def close(self, *, drop: bool = False, timeout_s: float | None = None) -> None:
        """Finish what is held and stop the threads.

        Args:
            drop: tell what still waits to end at once.
            timeout_s: wait no longer, seconds; what has not ended then is logged, and left to its daemon threads.
        """
        if drop:
            self._dropping.set()
        with self._changed:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._waiting.put(None)
            idle = self._changed.wait_for(lambda: self._held == 0, timeout_s)
            left = self._held
        if not idle:
            logger.warning("the %s stops, but %d requests are not over; they are left", self._name, left)
            return
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (call := self._waiting.get()) is not None:
            try:
                call()
            except Exception:
                logger.exception("a call failed")
            finally:
                del call  # while it waits for the next, a thread must not keep the tensors of the last
                with self._changed:
                    self._held -= 1
                    self._changed.notify_all()
