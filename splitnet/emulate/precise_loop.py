"""An asyncio event loop whose timers are right to some 0.1 ms instead of the next whole millisecond."""

import asyncio
import select
import selectors

_SELECT_FD_LIMIT = 1024  # FD_SETSIZE: select(2) refuses larger descriptors


class _PreciseSelector(selectors.EpollSelector):
    """Waits in select(2), in microseconds, on the epoll descriptor: epoll_wait(2) counts milliseconds."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0 and self.fileno() < _SELECT_FD_LIMIT:
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop with precise timers; the caller closes it."""
    return asyncio.SelectorEventLoop(_PreciseSelector())
