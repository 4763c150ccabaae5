"""The end of the way of one direction of one connection: where faults hold, slice, swallow or cut its bytes."""

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from splitnet.emulate.faults import FAIR, Conditions
from splitnet.emulate.link_model import End


class Far(Protocol):
    """What lies behind a gate."""

    def deliver(self, data: bytearray, end: End | None) -> None:
        """Take what has passed."""

    def vanish(self, size_bytes: int) -> None:
        """Note that so many bytes will never come."""

    def cut(self) -> None:
        """Reset both ends of the connection."""


@dataclass(slots=True)
class _Piece:
    data: bytearray
    end: End | None
    came_s: float


class Gate:
    """Passes what has crossed the link on, in order, as the conditions of its direction allow."""

    def __init__(self, far: Far, conditions: Conditions) -> None:
        self._loop = asyncio.get_running_loop()
        self._far = far
        self._conditions = conditions
        self._waiting: deque[_Piece] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._free_at_s = -math.inf
        self._passed_bytes = 0
        self._silent = False
        self._end_lost = False

    def take(self, data: bytearray, end: End | None) -> None:
        """Pass on what has crossed the link, now or when its time comes."""
        if self._conditions is FAIR and not self._waiting and not self._silent:
            self._far.deliver(data, end)
            return
        self._waiting.append(_Piece(data, end, self._loop.time()))
        self._pass_on()

    def change(self, conditions: Conditions) -> None:
        """Let other conditions be in force, also for what waits."""
        if conditions.reset_since_s != self._conditions.reset_since_s:
            self._passed_bytes = 0
        self._conditions = conditions
        if self._end_lost and not conditions.swallows:
            self._far.cut()
        else:
            self._pass_on()

    def clear(self) -> None:
        """Forget what waits."""
        self._disarm()
        self._waiting.clear()

    def _pass_on(self) -> None:
        self._disarm()
        while self._waiting:
            if self._conditions.swallows or self._silent:
                self._swallow()
                return
            if (at_s := self._next_at_s()) > self._loop.time():
                self._arm(at_s)
                return
            self._pass_one()
            if self._conditions.slice is not None:
                # One slice a turn of the loop, also without a pause: other connections have theirs in between.
                self._free_at_s = self._loop.time() + self._conditions.slice.pause_s
                self._arm(self._free_at_s)
                return

    def _next_at_s(self) -> float:
        found = self._conditions
        free_at_s = self._free_at_s if found.slice is not None else -math.inf
        return max(self._waiting[0].came_s + found.delay_s, found.stalled_until_s, free_at_s)

    def _pass_one(self) -> None:
        """Pass the next piece, or the next slice of it, or what is left to pass of it before the reset."""
        piece, found = self._waiting[0], self._conditions
        size = len(piece.data) if found.slice is None else min(len(piece.data), found.slice.size_bytes)
        if found.reset_after_bytes is not None and self._passed_bytes + size >= found.reset_after_bytes:
            last = piece.data[: max(0, found.reset_after_bytes - self._passed_bytes)]
            self._passed_bytes += size
            self._far.deliver(last, None)
            self._far.cut()  # which clears this gate
            return
        self._passed_bytes += size
        if size < len(piece.data):
            self._far.deliver(piece.data[:size], None)
            del piece.data[:size]
        else:
            self._waiting.popleft()
            self._far.deliver(piece.data, piece.end)

    def _swallow(self) -> None:
        self._silent = True
        for piece in self._waiting:
            self._end_lost |= piece.end is not None
            self._far.vanish(len(piece.data))
        self._waiting.clear()
        if self._end_lost and not self._conditions.swallows:
            self._far.cut()

    def _arm(self, at_s: float) -> None:
        if self._waiting and at_s < math.inf:
            self._timer = self._loop.call_at(at_s, self._pass_on)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
