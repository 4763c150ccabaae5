"""A bounded executor: a few compute threads behind lines that refuse instead of growing."""

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from splitnet.deadline import Deadline
from splitnet.errors import OverloadedError, UnavailableError
from splitnet.runtime.waiting import NORMAL_PRIORITY, J, Job, Line
from splitnet.telemetry import Events

logger = logging.getLogger(__name__)

_NEVER = Deadline(math.inf)


@dataclass(slots=True, eq=False)
class _Call(Job):
    call: Callable[[], Any]

    def compute(self, jobs: Sequence["_Call"]) -> None:
        """Call."""
        for job in jobs:
            job.call()

    def expire(self) -> None:
        """Not called: such have no deadline."""


class BoundedExecutor:
    """Threads that take at most `limit` jobs, waiting and running together, from any number of lines.

    They are daemons, unlike those of a ThreadPoolExecutor: Python waits for these at its end, for as long as a
    segment hangs.
    """

    def __init__(self, *, workers: int, limit: int, name: str, events: Events = Events()) -> None:  # noqa: B008
        """Start the threads.

        Args:
            workers: how many.
            limit: most jobs.
            name: of the threads, and in the log.
            events: hears how many jobs are held, whenever that changes.
        """
        self._name = name
        self._workers = workers
        self._limit = limit
        self._events = events
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        # Woken through a queue, unlike by a condition, a thread does not wait for the lock of who wakes it.
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._asleep = 0
        self._lines: dict[Line[Any], None] = {}  # those in which jobs wait: what is not asked for can be freed
        self._calls: Line[_Call] = Line()
        self._turns = 0
        self._held = 0
        self._running = 0
        self._closed = False
        self._dropping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}_{index}", daemon=True) for index in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def depth(self) -> int:
        """How many jobs wait or run."""
        return self._held

    @property
    def dropping(self) -> bool:
        """Whether jobs that only now begin are for nobody, and should end at once."""
        return self._dropping.is_set()

    def submit(self, call: Callable[..., Any], *args: Any) -> None:  # noqa: ANN401  (handed on to `call`)
        """Run `call(*args)` on a compute thread; it must not raise.

        Raises:
            OverloadedError: `limit` jobs are already held.
            UnavailableError: the executor is closed.
        """
        self.put(self._calls, _Call(1, _NEVER, NORMAL_PRIORITY, time.monotonic(), partial(call, *args)))

    def put(self, line: Line[J], job: J, *, inline: bool = False) -> None:
        """Have `line` run `job` on a compute thread.

        Args:
            line: where it waits.
            job: what is to be run.
            inline: run it on the calling thread, which is free until then, where a compute thread would take it
                at once: that saves waking one. That thread stays idle meanwhile.

        Raises:
            OverloadedError: `limit` jobs are already held.
            UnavailableError: the executor is closed.
        """
        with self._lock:
            if self._closed:
                raise UnavailableError("shutting down")
            expired = self._expired() if self._held >= self._limit else []
            taken = self._held < self._limit
            here = taken and inline and not self._lines and self._running < self._workers and not line.delays
            if taken:
                self._held += 1
                job.turn = self._turns = self._turns + 1
            if here:
                self._running += 1
            elif taken:
                self._append(line, job)
        if expired:
            self._end(expired)
        if not taken:
            raise OverloadedError(f"the queue is full ({self._limit} requests); try again later")
        self._events.queue_depth(self._held)
        if here:
            self._run(line, [job])

    def withdraw(self, line: Line[J], job: J) -> bool:
        """Take `job` out of `line` unless it has begun, and return whether that was so: its place is then free."""
        with self._lock:
            if not line.remove(job):
                return False
            self._left(line, 1)
        self._events.queue_depth(self._held)
        return True

    def close(self, *, drop: bool = False, timeout_s: float | None = None) -> None:
        """Finish what is held and stop the threads.

        Args:
            drop: tell what still waits to end at once.
            timeout_s: wait no longer, seconds; what has not ended then is logged, and left to its daemon threads.
        """
        if drop:
            self._dropping.set()
        with self._lock:
            self._closed = True
            self._wake(self._workers)
            idle = self._idle.wait_for(lambda: self._held == 0, timeout_s)
            left = self._held
        if not idle:
            logger.warning("the %s stops, but %d requests are not over; they are left", self._name, left)
            return
        for thread in self._threads:
            thread.join()

    def _append(self, line: Line[J], job: J) -> None:
        # A job that only adds to what waits for company wakes nobody: who waits for that has its time.
        waited = len(line) > 0 and line.due_s() > job.since_s
        line.add(job)
        self._lines[line] = None
        if not waited or line.due_s() <= job.since_s:
            self._wake(1)

    def _wake(self, count: int) -> None:
        """Wake so many of the threads that sleep; with the lock."""
        for _ in range(min(count, self._asleep)):
            self._asleep -= 1
            self._wakes.put(None)

    def _sleep(self, timeout_s: float | None) -> None:
        """Wait until woken, or as long as that."""
        try:
            self._wakes.get(timeout=timeout_s)
        except queue.Empty:
            with self._lock:
                try:
                    self._wakes.get_nowait()  # woken at the last moment: by who has counted it out
                except queue.Empty:
                    self._asleep -= 1

    def _work(self) -> None:
        while (work := self._next()) is not None:
            work()
            del work  # while it waits for the next, a thread must not keep the tensors of the last

    def _next(self) -> Callable[[], None] | None:
        """Wait for something to do; None at the end."""
        while True:
            with self._lock:
                if expired := self._expired():
                    return partial(self._end, expired)
                if self._closed and not self._lines:
                    return None
                wait_s = None
                if self._lines and self._running < self._workers:
                    now_s = time.monotonic()
                    due_s, line = self._foremost(now_s)
                    if due_s <= now_s or self._closed:
                        return self._begin(line, now_s)
                    wait_s = due_s - now_s
                self._asleep += 1
            self._sleep(wait_s)

    def _foremost(self, now_s: float) -> tuple[float, Line[Any]]:
        """Return the line whose turn it is, and when that is: of those that are due the one with the first job."""
        dues = [(line.due_s(), line) for line in self._lines]
        due = [(line.first, at_s, line) for at_s, line in dues if at_s <= now_s or self._closed]
        if due:
            _, at_s, line = min(due, key=lambda entry: entry[0])
            return at_s, line
        return min(dues, key=lambda entry: entry[0])

    def _begin(self, line: Line[Any], now_s: float) -> Callable[[], None]:
        jobs = line.take(now_s)
        for job in jobs:
            job.queued_s = now_s - job.since_s
        self._left(line, 0)
        self._running += 1
        if self._lines:
            self._wake(1)  # else what is due later, or is left, would have nobody who watches for it
        return partial(self._run, line, jobs)

    def _run(self, line: Line[J], jobs: list[J]) -> None:
        start_s = time.monotonic()
        try:
            jobs[0].compute(jobs)
        except Exception:
            logger.exception("a call failed")
        finally:  # where this is the main thread, a person may have interrupted it: the place is free all the same
            self._ran(line, jobs, time.monotonic() - start_s)

    def _ran(self, line: Line[J], jobs: list[J], seconds: float) -> None:
        with self._lock:
            line.note(sum(job.samples for job in jobs), seconds)
            self._running -= 1
            self._left(line, len(jobs))
            if self._lines:
                self._wake(1)  # where this is no compute thread, one has been held back
        self._events.queue_depth(self._held)

    def _expired(self) -> list[Job]:
        """Take all that has expired out of the lines."""
        now_s = time.monotonic()
        found = [(line, jobs) for line in self._lines if (jobs := line.expired(now_s))]
        for line, jobs in found:
            self._left(line, len(jobs))
        return [job for _, jobs in found for job in jobs]

    def _left(self, line: Line[Any], count: int) -> None:
        """Note that `line` has fewer jobs, and that so many are not held any more."""
        if not len(line):
            self._lines.pop(line, None)
        self._held -= count
        if self._closed and not self._held:
            self._idle.notify_all()
            self._wake(self._workers)

    def _end(self, expired: Sequence[Job]) -> None:
        for job in expired:
            job.expire()
        self._events.queue_depth(self._held)
