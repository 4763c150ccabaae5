"""How requests go over a connection: as messages on one stream, or as a call each."""

import queue
from collections.abc import Callable
from typing import Protocol, TypeAlias

from splitnet.link.client.inflight import Call
from splitnet.protocol import StreamResponse

#: What is to be sent: requests, messages that are ready, and None once nothing more comes.
Outbox: TypeAlias = "queue.SimpleQueue[Call | bytes | None]"
#: Takes an answer and its size in bytes, on whichever thread it came.
Take = Callable[[StreamResponse, int], None]


class Way(Protocol):
    """One of the two."""

    def run(self, outbox: Outbox, take: Take) -> str:
        """Send from `outbox` and hand answers to `take` until the end; return what the server did then."""

    def withdraw(self, outbox: Outbox, call: Call) -> None:
        """Tell the server that nobody waits for `call` any more, where it can be told."""
