"""System: what LoadGen puts its queries to, a bound on what is under way in between."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Protocol

from splitnet.bench.tally import Tally
from splitnet.errors import DeadlineExceededError
from splitnet.runtime import Answer

#: Starts the request for one sample; the future must end, with an Answer or an error, by a deadline of its own.
Submit = Callable[[int], "Future[Answer]"]


class Query(Protocol):
    """One sample that is asked for: LoadGen's `QuerySample`."""

    @property
    def id(self) -> int:
        """By which its end is told."""

    @property
    def index(self) -> int:
        """Of the sample."""


class System:
    """Sends samples through `submit`, at most `in_flight` at a time, and tells of every end.

    LoadGen cannot be stopped before its time: it has no call for that, and an exception that passes through it
    breaks its memory. So none leaves a method here, and after `stop` the thread that asks for more waits for
    the end of the process.
    """

    def __init__(self, submit: Submit, in_flight: int, tally: Tally, tell: Callable[[Query], None]) -> None:
        """Bind together; nothing is sent yet.

        Args:
            submit: starts a request.
            in_flight: most requests under way.
            tally: counts the ends.
            tell: called at each sample's end, from any thread.
        """
        self._submit = submit
        self._tally = tally
        self._tell = tell
        self._slots = threading.Semaphore(in_flight)
        self._stopped = threading.Event()
        self._sent = 0
        self._moved_s = time.monotonic()
        #: Samples of the largest query so far: all of them in "offline".
        self.largest_query = 0

    def issue(self, queries: Iterable[Query]) -> None:
        """Send samples, waiting for a free place before each."""
        batch = list(queries)
        self.largest_query = max(self.largest_query, len(batch))
        for query in batch:
            self._slots.acquire()
            if self._stopped.is_set():
                threading.Event().wait()
            self._send(query)

    def stop(self) -> None:
        """Send nothing from now on."""
        self._stopped.set()
        self._slots.release()  # for who waits for a place

    def check_moving(self, limit_s: float) -> None:
        """See that requests end.

        Raises:
            DeadlineExceededError: some are under way, and for `limit_s` seconds none has begun or ended.
        """
        waiting = self._sent - self._tally.ended
        if waiting and time.monotonic() - self._moved_s > limit_s:
            raise DeadlineExceededError(
                f"{waiting} requests are under way and none has begun or ended for {limit_s:g} s"
            )

    def _send(self, query: Query) -> None:
        self._tally.begin()
        self._sent += 1
        self._moved_s = time.monotonic()
        started(self._submit, query.index).add_done_callback(lambda done: self._ended(query, done))

    def _ended(self, query: Query, future: "Future[Answer]") -> None:
        try:
            self._tally.end(query.index, future.result())
        except BaseException as err:  # noqa: BLE001  (whatever it is, LoadGen must not wait for this one for ever)
            self._tally.fail(err)
        finally:
            self._moved_s = time.monotonic()
            self._tell(query)
            self._slots.release()


def started(submit: Submit, index: int) -> "Future[Answer]":
    """Start a request; where that fails at once, the future has failed."""
    try:
        return submit(index)
    except Exception as err:  # noqa: BLE001  (above may be LoadGen, which no exception may pass)
        future: Future[Answer] = Future()
        future.set_exception(err)
        return future
