"""One direction of a link on the event loop's clock: offers bytes to the model, hands over what is due."""

import asyncio
from typing import Protocol

from splitnet.emulate.faults import FAIR, Conditions
from splitnet.emulate.link_model import End, LinkModel
from splitnet.emulate.shape import LinkShape


class Flow(Protocol):
    """One direction of one connection, as the link sees it."""

    def land(self, data: bytearray, end: End | None) -> None:
        """Take what has arrived at the far end."""


class Link:
    """A `LinkModel` driven by the running event loop.

    Every deadline is absolute and comes from the model, so a late timer delays what was due and nothing
    after it.
    """

    def __init__(self, shape: LinkShape, seed: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._model: LinkModel[Flow] = LinkModel(shape, seed)
        self._timer: asyncio.TimerHandle | None = None
        self.window_bytes = shape.window_bytes
        #: What faults do to the bytes that have crossed.
        self.conditions: Conditions = FAIR

    def reshape(self, shape: LinkShape) -> None:
        """Change the shape from now on."""
        self._model.reshape(self._loop.time(), shape)
        self.window_bytes = shape.window_bytes
        self._deliver()

    def offer(self, flow: Flow, data: memoryview) -> None:
        """Send bytes of `flow`; they are copied."""
        self._model.offer(self._loop.time(), flow, data)
        self._deliver()

    def finish(self, flow: Flow, end: End) -> None:
        """Send the end of `flow`."""
        self._model.finish(self._loop.time(), flow, end)
        self._deliver()

    def forget(self, flow: Flow) -> None:
        """Drop what `flow` has in front of the link."""
        self._model.forget(self._loop.time(), flow)
        self._arm()

    def close(self) -> None:
        """Deliver nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _deliver(self) -> None:
        for arrival in self._model.collect(self._loop.time()):
            arrival.flow.land(arrival.data, arrival.end)
        self._arm()

    def _arm(self) -> None:
        at_s = self._model.next_event_s
        if self._timer is not None:
            if self._timer.when() == at_s:
                return
            self._timer.cancel()
        self._timer = None if at_s is None else self._loop.call_at(at_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._deliver()
