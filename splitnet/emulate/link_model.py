"""One direction of a link as arithmetic: which byte of which flow arrives when, with no clock and no sockets."""

import enum
import random
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from splitnet.emulate.shape import LinkShape

FlowT = TypeVar("FlowT")


class End(enum.Enum):
    """How a flow ends: its sender has finished, or its connection was reset."""

    FINISHED = "finished"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Arrival(Generic[FlowT]):
    """Bytes of one flow at the far end; `end` is set on the last piece, which may be empty."""

    flow: FlowT
    data: bytearray
    end: End | None
    at_s: float


@dataclass(slots=True)
class _Waiting:
    data: bytearray = field(default_factory=bytearray)
    end: End | None = None


class LinkModel(Generic[FlowT]):
    """A link that flows share: one piece at a time is serialised, the flows take turns, then the delay.

    Times are seconds on one clock of the caller's, which must never go back between calls. The model is exact
    however late it is asked: a piece starts when it is there and the link is free, not when `collect` is
    called. Every call first settles what had started by then, so an arrival time need not be kept for
    each byte: what still waits afterwards starts later than now.
    """

    def __init__(self, shape: LinkShape, seed: int | str = 0) -> None:
        self._shape = shape
        self._random = random.Random(seed)  # noqa: S311  jitter that can be repeated; nothing secret
        self._waiting: OrderedDict[FlowT, _Waiting] = OrderedDict()
        self._in_flight: deque[Arrival[FlowT]] = deque()
        self._current: FlowT | None = None
        self._free_at_s = float("-inf")
        self._last_arrival_s = float("-inf")

    @property
    def shape(self) -> LinkShape:
        """The shape that new pieces get."""
        return self._shape

    def reshape(self, now_s: float, shape: LinkShape) -> None:
        """Change the shape for every piece that has not started yet; order is kept."""
        self._settle(now_s)
        self._shape = shape

    def offer(self, now_s: float, flow: FlowT, data: bytes | bytearray | memoryview) -> None:
        """Put bytes in front of the link."""
        self._settle(now_s)
        self._waiting_of(flow).data += data
        self._settle(now_s)

    def finish(self, now_s: float, flow: FlowT, end: End) -> None:
        """End a flow behind its bytes; a reset overtakes those of its bytes that still wait."""
        self._settle(now_s)
        waiting = self._waiting_of(flow)
        waiting.end = end
        if end is End.RESET:
            waiting.data.clear()
        self._settle(now_s)

    def forget(self, now_s: float, flow: FlowT) -> None:
        """Drop the bytes of a flow that have not started yet."""
        self._settle(now_s)
        self._waiting.pop(flow, None)

    def collect(self, now_s: float) -> list[Arrival[FlowT]]:
        """Return what has arrived by now, in order."""
        self._settle(now_s)
        arrived = []
        while self._in_flight and self._in_flight[0].at_s <= now_s:
            arrived.append(self._in_flight.popleft())
        return arrived

    @property
    def next_event_s(self) -> float | None:
        """The time before which `collect` will return nothing new; None when the link is empty."""
        if self._in_flight:
            return self._in_flight[0].at_s
        if not self._waiting:
            return None
        size = min(self._shape.chunk_bytes, len(next(iter(self._waiting.values())).data))
        soonest = self._free_at_s + self._shape.transfer_s(size) - self._shape.jitter_s
        return max(soonest, self._last_arrival_s)

    def _waiting_of(self, flow: FlowT) -> _Waiting:
        waiting = self._waiting.get(flow)
        if waiting is None:
            waiting = self._waiting[flow] = _Waiting()
            if (
                self._current is not None and self._current in self._waiting
            ):  # whose piece is under way: its next turn is after everybody's
                self._waiting.move_to_end(self._current)
        return waiting

    def _settle(self, now_s: float) -> None:
        """Start every piece whose turn came by now."""
        while self._waiting and self._free_at_s <= now_s:
            self._start_next()
        if not self._waiting:
            self._free_at_s = max(self._free_at_s, now_s)

    def _start_next(self) -> None:
        flow, waiting = self._waiting.popitem(last=False)
        self._current = flow
        data, end = waiting.data, waiting.end
        size = self._shape.chunk_bytes
        if len(data) > size:
            data, end = data[:size], None
            del waiting.data[:size]
            self._waiting[flow] = waiting
        self._free_at_s += self._shape.serialization_s(len(data))
        at_s = max(self._last_arrival_s, self._free_at_s + self._delay_s())
        self._last_arrival_s = at_s
        self._in_flight.append(Arrival(flow, data, end, at_s))

    def _delay_s(self) -> float:
        jitter_s = self._shape.jitter_s
        return self._shape.delay_s + (self._random.uniform(-jitter_s, jitter_s) if jitter_s > 0 else 0.0)
