"""One proxied connection: two sockets and a flow in each direction, with bounded memory."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import cast

from splitnet.emulate.faults import Conditions
from splitnet.emulate.gate import Gate
from splitnet.emulate.link import Link
from splitnet.emulate.link_model import End
from splitnet.emulate.shape import READ_BYTES

# What the kernel holds on either side of the emulated link; left to grow, it would swallow 10 MB unpaced.
_SOCKET_BUFFER_BYTES = 128 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close(2) sends a reset


class Flow:
    """The bytes of one direction, from reading the source until the sink's socket takes them.

    At most `link.window_bytes` are held; then the source is not read until the sink has taken some.
    """

    def __init__(self, link: Link, source: "Endpoint", sink: "Endpoint", count: Callable[[int], None]) -> None:
        self._link = link
        self._source = source
        self._sink = sink
        self._count = count
        self._gate = Gate(self, link.conditions)
        self._landed = bytearray()
        self._ended = False
        self._dead = False
        self._cut = False
        self._held_bytes = 0

    @property
    def room_bytes(self) -> int:
        """How much more may be read."""
        return self._link.window_bytes - self._held_bytes

    def take(self, data: memoryview) -> None:
        """Send bytes that came from the source; they are copied."""
        if not self._dead:
            self._held_bytes += len(data)
            self._link.offer(self, data)
            self.regulate()

    def finish(self, end: End) -> None:
        """Send the end of the source."""
        if not self._dead:
            self._link.finish(self, end)

    def land(self, data: bytearray, end: End | None) -> None:
        """Hand what has crossed the link to the gate behind it, where faults are."""
        if not self._dead:
            self._gate.take(data, end)

    def deliver(self, data: bytearray, end: End | None) -> None:
        """Hand on what has passed the gate."""
        if self._dead:
            return
        if end is End.RESET:
            self._sink.reset()
            return
        self._ended = end is End.FINISHED
        self._landed += data
        self.flush()

    def vanish(self, size_bytes: int) -> None:
        """Note that so many bytes were swallowed: there is room for more."""
        self._held_bytes -= size_bytes
        self.regulate()

    def cut(self) -> None:
        """Reset both ends, behind the bytes that have passed."""
        self._gate.clear()
        self._cut = True
        self.flush()

    def change(self, conditions: Conditions) -> None:
        """Let other faults be in force."""
        self._gate.change(conditions)

    def flush(self) -> None:
        """Write what has landed, as far as the sink can take it now."""
        while self._landed and self._sink.writable:
            data = self._landed[:READ_BYTES]
            del self._landed[:READ_BYTES]
            self._held_bytes -= len(data)
            self._count(len(data))
            self._sink.write(data)
        if self._cut and not self._landed and (self._sink.writable or self._sink.lost):
            self._source.reset()
            self._sink.reset()
        elif self._ended and self._sink.writable:
            self._sink.write_end()
        self.regulate()

    def abandon(self) -> None:
        """Drop everything, now and from now on: the sink is gone."""
        self._dead = True
        self._gate.clear()
        self._landed.clear()
        self._held_bytes = 0
        self._link.forget(self)
        self.regulate()

    def regulate(self) -> None:
        """Stop or resume reading the source by the room that is left."""
        if self.room_bytes <= 0:
            self._source.pause_reading()
        elif self.room_bytes >= min(READ_BYTES, self._link.window_bytes // 4):
            self._source.resume_reading()


class Endpoint(asyncio.BufferedProtocol):
    """One of the two sockets of a connection."""

    outgoing: Flow
    incoming: Flow

    def __init__(self, scratch: memoryview, on_lost: Callable[[], None]) -> None:
        self._scratch = scratch
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._doomed = False
        self._read_end = False
        self._written_end = False
        self.lost = False
        self.writable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set the socket up and write what has arrived for it so far; asyncio has set TCP_NODELAY."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=READ_BYTES)
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER_BYTES)
        if self._doomed:
            self.reset()
            return
        self.writable = True
        self.incoming.flush()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  asyncio passes -1
        """Lend the buffer that all sockets of a proxy share, no longer than the room of the flow."""
        return self._scratch[: self.outgoing.room_bytes]

    def buffer_updated(self, nbytes: int) -> None:
        """Send what was read."""
        self.outgoing.take(self._scratch[:nbytes])

    def eof_received(self) -> bool:
        """Send the half-close and keep the other direction open."""
        if not self._read_end:
            self._read_end = True
            self.outgoing.finish(End.FINISHED)
            self._close_if_done()
        return True

    def pause_writing(self) -> None:
        """Let what lands wait in the flow: the socket is full."""
        self.writable = False

    def resume_writing(self) -> None:
        """Write what has waited."""
        self.writable = not self.lost
        self.incoming.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass a reset on; forget what was meant for this socket."""
        self.mark_lost()
        if exc is not None:
            self.outgoing.finish(End.RESET)

    def mark_lost(self) -> None:
        """Note that the socket is closed, or never came to be."""
        self.lost = True
        self.writable = False
        self.incoming.abandon()
        self._on_lost()

    def pause_reading(self) -> None:
        """Stop reading; a no-op once the end was read."""
        if self._transport is not None and not self._read_end:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again; a no-op once the end was read."""
        if self._transport is not None and not self._read_end:
            self._transport.resume_reading()

    def write(self, data: bytearray) -> None:
        """Write to the socket; what it does not take at once, asyncio keeps."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def write_end(self) -> None:
        """Half-close the socket behind what was written."""
        if self._transport is None or self._written_end:
            return
        self._written_end = True
        try:
            self._transport.write_eof()
        except OSError:  # the peer's reset came first
            self.reset()
        self._close_if_done()

    def reset(self) -> None:
        """Close the socket with a reset, at once or as soon as it is connected."""
        self._doomed = True
        if self._transport is not None and not self.lost:
            sock: socket.socket = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()

    def abort(self) -> None:
        """Close the socket without waiting for what it has not sent."""
        self._doomed = True
        if self._transport is not None:
            self._transport.abort()

    def _close_if_done(self) -> None:
        if self._read_end and self._written_end and self._transport is not None:
            self._transport.close()


class Connection:
    """A client's socket, the socket towards the target, and the two flows between them."""

    def __init__(
        self,
        up: tuple[Link, Callable[[int], None]],
        down: tuple[Link, Callable[[int], None]],
        scratch: memoryview,
    ) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.client = Endpoint(scratch, self._on_lost)
        self.server = Endpoint(scratch, self._on_lost)
        self.up = Flow(up[0], self.client, self.server, up[1])
        self.down = Flow(down[0], self.server, self.client, down[1])
        self.client.outgoing, self.client.incoming = self.up, self.down
        self.server.outgoing, self.server.incoming = self.down, self.up

    def refuse(self) -> None:
        """Reset the client: the target could not be reached."""
        self.server.mark_lost()
        self.client.reset()

    def abort(self) -> None:
        """Close both sockets at once."""
        self.client.abort()
        self.server.abort()

    def _on_lost(self) -> None:
        if self.client.lost and self.server.lost and not self.closed.done():
            self.closed.set_result(None)
