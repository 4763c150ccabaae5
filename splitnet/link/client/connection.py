"""One connection to a tier, from its making to its end: nothing is mended, another one is made."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import grpc

from splitnet.errors import (
    DeadlineExceededError,
    OverloadedError,
    SplitNetError,
    UnavailableError,
)
from splitnet.link.client.calls import call_once
from splitnet.link.client.channel import Target, open_channel
from splitnet.link.client.inflight import Call
from splitnet.link.client.stream import StreamWay, streams, takes_a_stream
from splitnet.link.client.unary import UnaryWay
from splitnet.link.client.way import Outbox, Take, Way
from splitnet.protocol import MODEL_READY, SERVER_METADATA, Empty, ModelName

logger = logging.getLogger(__name__)

Credentials = Callable[[], grpc.ChannelCredentials | None]
#: Says why no connection to a tier comes about, where its certificate or ours is why; may wait about a second.
Diagnose = Callable[[Target], str | None]

#: Extension of a server that answers a stream in Triton's way, and says so.
STREAMS = "model_stream_infer"


@dataclass(frozen=True, slots=True)
class Terms:
    """What all connections of a link have in common.

    Attributes:
        max_message_bytes: largest message sent or taken, bytes.
        window: most requests in flight.
        credentials: called for each connection; None makes plaintext ones.
        diagnose: called once each time that the tier can no longer be reached.
    """

    max_message_bytes: int
    window: int
    credentials: Credentials | None = None
    diagnose: Diagnose | None = None


class Connection:
    """A channel and the way that requests go on it; requests sent before it is open wait."""

    def __init__(self, target: Target, terms: Terms, *, proves: bool = False) -> None:
        """Take note of where it goes; `open` makes it, and where it `proves`, sees that a stream is answered."""
        self.extensions: frozenset[str] = frozenset()
        self._target = target
        self._terms = terms
        self._proves = proves
        self._outbox: Outbox = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._channel: grpc.Channel | None = None
        self._way: Way | None = None

    def open(self, timeout_s: float) -> None:
        """Connect, ask the server what it is, and find out whether it streams as we do.

        Raises:
            UnavailableError: it cannot be reached, is overloaded, or this connection is closed.
            DeadlineExceededError: that took more than `timeout_s` seconds.
            ConfigError: a certificate cannot be read.
        """
        deadline_s = time.monotonic() + timeout_s
        credentials = self._terms.credentials() if self._terms.credentials is not None else None
        channel = open_channel(self._target, credentials, max_message_bytes=self._terms.max_message_bytes)
        with self._lock:
            self._channel = channel
            if self._closed.is_set():
                channel.close()
                raise UnavailableError("the link is closed")
        self.extensions = _extensions(channel, timeout_s)
        left_s = deadline_s - time.monotonic()
        if STREAMS in self.extensions:
            if self._proves and not takes_a_stream(channel, left_s):
                raise UnavailableError("it answers on no further stream")
            self._way = StreamWay(channel, self.extensions)
        elif streams(channel, left_s):
            self._way = StreamWay(channel, self.extensions)
        else:
            logger.info("link to %s: its server does not stream as we do; each request is a call", self._target)
            self._way = UnaryWay(channel, self._closed)

    def run(self, take: Take) -> str:
        """Send what is sent, hand answers to `take` until the connection ends, and return why it did."""
        assert self._way is not None
        return self._way.run(self._outbox, take)

    def send(self, call: Call) -> None:
        """Queue a request; does not wait."""
        if self._outbox.qsize() >= 2 * self._terms.window:
            self._sweep()
        self._outbox.put(call)

    def withdraw(self, call: Call) -> None:
        """Tell the server that nobody waits for a request any more."""
        if self._way is not None:
            self._way.withdraw(self._outbox, call)

    def model_ready(self, model: ModelName, timeout_s: float) -> bool:
        """Ask, beside the requests, whether the server answers for `model` now; see `call_once`."""
        if self._channel is None:
            raise UnavailableError("the tier above is not connected yet")
        return call_once(self._channel, MODEL_READY, model, timeout_s=timeout_s, wait=True)

    def finish(self) -> None:
        """Send nothing more, and end once all is answered."""
        self._outbox.put(None)

    def close(self) -> None:
        """End now; may be called by any thread, and again."""
        with self._lock:
            self._closed.set()
            channel = self._channel
        self._outbox.put(None)
        if channel is not None:
            channel.close()

    def let_go(self) -> None:
        """Drop what was never sent, once that has ended or goes another way: it knows this connection."""
        with suppress(queue.Empty):
            while True:
                self._outbox.get_nowait()
        self._outbox.put(None)

    def _sweep(self) -> None:
        """Drop from the outbox what has ended while the peer took nothing; at most `window` requests have not."""
        queued: list[Call | bytes | None] = []
        with suppress(queue.Empty):
            while True:
                queued.append(self._outbox.get_nowait())
        for item in queued:
            if not isinstance(item, Call) or item.message:
                self._outbox.put(item)


def _extensions(channel: grpc.Channel, timeout_s: float) -> frozenset[str]:
    """Ask for the server's extensions, which connects; none where it will not say.

    Raises:
        UnavailableError: it cannot be reached, or is overloaded.
        DeadlineExceededError: it did not answer in time.
    """
    try:
        metadata = call_once(channel, SERVER_METADATA, Empty(), timeout_s=timeout_s, wait=False)
    except OverloadedError as err:
        raise UnavailableError(str(err)) from err
    except (UnavailableError, DeadlineExceededError):
        raise
    except SplitNetError as err:  # it answers, but this call is not for us: foreign, or its access is closed
        logger.debug("no ServerMetadata: %s", err)
        return frozenset()
    return frozenset(metadata.extensions)
