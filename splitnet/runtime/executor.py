"""A bounded executor: a few compute threads behind a queue that refuses instead of growing."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from splitnet.errors import OverloadedError, UnavailableError


class BoundedExecutor:
    """A thread pool that takes at most `limit` calls, waiting and running together."""

    def __init__(self, *, workers: int, limit: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix=name)
        self._limit = limit
        self._held = 0
        self._lock = threading.Lock()
        self._dropping = threading.Event()

    def submit(self, call: Callable[..., Any], *args: Any) -> None:  # noqa: ANN401  (handed on to `call`)
        """Run `call(*args)` on a compute thread; it must not raise.

        Raises:
            OverloadedError: `limit` calls are already held.
            UnavailableError: the executor is closed.
        """
        with self._lock:
            if self._held >= self._limit:
                raise OverloadedError(f"the queue is full ({self._limit} requests); try again later")
            self._held += 1
        try:
            self._pool.submit(call, *args).add_done_callback(self._release)
        except RuntimeError as err:
            self._release(None)
            raise UnavailableError("shutting down") from err

    def _release(self, _: "Future[Any] | None") -> None:
        with self._lock:
            self._held -= 1

    @property
    def dropping(self) -> bool:
        """Whether calls that only now begin are for nobody, and should end at once."""
        return self._dropping.is_set()

    def close(self, *, drop: bool = False) -> None:
        """Finish what is held and stop the threads; with `drop`, what still waits is told to end at once."""
        if drop:
            self._dropping.set()
        self._pool.shutdown(wait=True)
