"""The proxy for programs without an event loop: it runs in a thread of its own."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import Self, TypeVar

from splitnet.emulate.faults import Fault
from splitnet.emulate.listener import Address
from splitnet.emulate.precise_loop import new_event_loop
from splitnet.emulate.proxy import LinkStats, Proxy
from splitnet.emulate.shape import LinkShape
from splitnet.emulate.steps import Step
from splitnet.errors import OperatorError

_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 10.0

_log = logging.getLogger(__name__)

T = TypeVar("T")


class ShapedLink:
    """A `Proxy` in a daemon thread, as an ordinary context manager.

        with ShapedLink(("127.0.0.1", 9000), LinkShape(20e6, 0.005)) as link:
            connect_to(link.address)

    The thread shares Python's lock with the rest of the process: pure Python work elsewhere can delay a
    delivery by 5 ms. To measure beside such work, run `splitnet emulate` as a process.

    Args:
        target: Host and port to connect to, once for each accepted connection.
        shape: The link.
        listen: Host and port to listen on; port 0 takes a free one.
        seed: Fixes the sequence of the jitter.
    """

    def __init__(
        self, target: Address, shape: LinkShape, *, listen: Address = ("127.0.0.1", 0), seed: int = 0
    ) -> None:
        self._proxy = Proxy(target, shape, listen=listen, seed=seed)
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=self._run, name="shaped-link", daemon=True)

    @property
    def address(self) -> Address:
        """Host and port that clients connect to."""
        return self._proxy.address

    def stats(self) -> LinkStats:
        """Return a copy of the counts."""
        return self._call(lambda: replace(self._proxy.stats))

    def reshape(self, shape: LinkShape) -> None:
        """Change the link for every byte that has not started to cross it, and stop playing steps."""
        self._call(lambda: self._proxy.reshape(shape))

    def play(self, steps: Sequence[Step], *, repeat: bool = False) -> None:
        """Give the link one shape after the other, from now on (see `Proxy.play`); does not wait."""
        self._call(lambda: self._proxy.play(steps, repeat=repeat))

    def inject(self, *faults: Fault) -> None:
        """Let faults be in force, beside those that are already; of two of a kind the later counts."""
        self._wait(self._proxy.inject(*faults))

    def heal(self, *faults: Fault) -> None:
        """End these faults, or all.

        Raises:
            OperatorError: the address was taken by somebody else while nobody was to listen.
        """
        self._wait(self._proxy.heal(*faults))

    def __enter__(self) -> Self:
        """Start the thread and wait until it listens.

        Raises:
            OperatorError: The address cannot be listened on.
        """
        self._thread.start()
        try:
            self._started.result(_START_TIMEOUT_S)
        except OperatorError:
            self._thread.join(_STOP_TIMEOUT_S)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection and wait, for a bounded time, until the thread has ended."""
        loop, stop = self._started.result()
        loop.call_soon_threadsafe(stop.set)
        self._thread.join(_STOP_TIMEOUT_S)
        if self._thread.is_alive():
            _log.warning("the link on %s:%d did not end within %.0f s", *self.address, _STOP_TIMEOUT_S)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            try:
                runner.run(self._serve())
            except BaseException as error:
                if self._started.done():
                    raise
                self._started.set_exception(error)

    async def _serve(self) -> None:
        stop = asyncio.Event()
        async with self._proxy:
            self._started.set_result((asyncio.get_running_loop(), stop))
            await stop.wait()

    def _call(self, function: Callable[[], T]) -> T:
        """Run a function on the loop's thread."""

        async def call() -> T:
            return function()

        return self._wait(call())

    def _wait(self, coroutine: Coroutine[None, None, T]) -> T:
        """Run a coroutine on the loop's thread."""
        loop, _ = self._started.result()
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(_STOP_TIMEOUT_S)
