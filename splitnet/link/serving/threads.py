"""The threads on which gRPC runs handlers."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonThreads(Executor):
    """Runs calls on a bounded number of daemon threads, which are started when they are needed and kept.

    Python waits at its end for the threads of a ThreadPoolExecutor. A handler may compute, and a segment that
    hangs must not keep the process.
    """

    def __init__(self, most: int, *, name: str) -> None:
        """Run at most `most` calls at a time; others wait."""
        self._most = most
        self._name = name
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._started = 0
        self._idle = 0
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Run `fn` and promise what it returns.

        Raises:
            RuntimeError: it is shut down, or the system has no thread for the first call.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("shut down")
            if self._idle:
                self._idle -= 1
            elif self._started < self._most:
                self._start()
            self._waiting.put(partial(_run, future, partial(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Start nothing any more, and end each thread once its call has ended; this never waits."""
        with self._lock:
            self._closed = True
            for _ in range(self._started):
                self._waiting.put(None)

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{self._name}_{self._started}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if not self._started:
                raise
            return  # those that there are will come to it
        self._started += 1

    def _work(self) -> None:
        while (call := self._waiting.get()) is not None:
            call()
            del call  # it keeps a message
            with self._lock:
                self._idle += 1


def _run(future: "Future[Any]", call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as err:  # noqa: BLE001  (raised again where the future is read)
        future.set_exception(err)
