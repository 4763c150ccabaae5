"""The TCP proxy: connections to one address are carried over one emulated link to another address."""

import asyncio
import logging
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from splitnet.emulate.connection import Connection
from splitnet.emulate.link import Link
from splitnet.emulate.shape import READ_BYTES, LinkShape
from splitnet.errors import OperatorError

Address = tuple[str, int]

_BACKLOG = 128
_CONNECT_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 2.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class LinkStats:
    """What has crossed the link: bytes handed to the far side, and connections accepted so far."""

    up_bytes: int = 0
    down_bytes: int = 0
    connections: int = 0

    def count_up(self, size_bytes: int) -> None:
        """Count bytes from a client to the target."""
        self.up_bytes += size_bytes

    def count_down(self, size_bytes: int) -> None:
        """Count bytes from the target to a client."""
        self.down_bytes += size_bytes


class _Refusal(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class Proxy:
    """Listens on `listen` and carries every connection to `target` over one link of `shape`.

    All connections share the link: up (client to target) and down each have the whole bandwidth, and within
    a direction the connections take turns. Use it as an async context manager:

        async with Proxy(("127.0.0.1", 9000), LinkShape(20e6, 0.005)) as proxy:
            connect_to(proxy.address)

    On asyncio's own event loop each delivery is up to 1 ms late; `new_event_loop` makes a better one.

    Args:
        target: Host and port to connect to, once for each accepted connection.
        shape: The link.
        listen: Host and port to listen on; port 0 takes a free one.
        seed: Fixes the sequence of the jitter.
        max_connections: More connections than this at a time are closed as soon as they are accepted.
    """

    def __init__(
        self,
        target: Address,
        shape: LinkShape,
        *,
        listen: Address = ("127.0.0.1", 0),
        seed: int = 0,
        max_connections: int = 1024,
    ) -> None:
        self.stats = LinkStats()
        self._target = target
        self._shape = shape
        self._listen = listen
        self._seed = seed
        self._max_connections = max_connections
        self._scratch = memoryview(bytearray(READ_BYTES))
        self._connections: set[Connection] = set()
        self._dials: set[asyncio.Task[None]] = set()
        self._address: Address | None = None

    @property
    def address(self) -> Address:
        """Host and port that clients connect to."""
        assert self._address is not None, "the proxy is not open"
        return self._address

    async def __aenter__(self) -> Self:
        """Start to listen.

        Raises:
            OperatorError: The address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        self._up = Link(self._shape, f"{self._seed} up")
        self._down = Link(self._shape, f"{self._seed} down")
        try:
            listener = await _listen(self._listen)
        except (OSError, UnicodeError) as error:  # UnicodeError: no host could have that name
            host, port = self._listen
            raise OperatorError(f"cannot listen on {host}:{port}: {error}") from error
        self._address = listener.getsockname()[:2]
        self._server = await loop.create_server(self._accept, sock=listener, backlog=_BACKLOG)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and close every connection at once."""
        self._server.close()
        for dial in self._dials:
            dial.cancel()
        if self._dials:
            await asyncio.wait(self._dials, timeout=_CLOSE_TIMEOUT_S)
        for connection in self._connections:
            connection.abort()
        if self._connections:
            await asyncio.wait([each.closed for each in self._connections], timeout=_CLOSE_TIMEOUT_S)
        self._up.close()
        self._down.close()
        await self._server.wait_closed()

    def reshape(self, shape: LinkShape) -> None:
        """Change the link for every byte that has not started to cross it."""
        self._shape = shape
        for link in (self._up, self._down):
            link.reshape(shape)
        for connection in self._connections:
            connection.up.regulate()
            connection.down.regulate()

    def _accept(self) -> asyncio.BaseProtocol:
        if len(self._connections) >= self._max_connections:
            _log.warning("refused a connection: %d are open", self._max_connections)
            return _Refusal()
        self.stats.connections += 1
        connection = Connection(
            (self._up, self.stats.count_up), (self._down, self.stats.count_down), self._scratch
        )
        self._connections.add(connection)
        connection.closed.add_done_callback(lambda _: self._connections.discard(connection))
        dial = asyncio.get_running_loop().create_task(self._dial(connection))
        self._dials.add(dial)
        dial.add_done_callback(self._dials.discard)
        return connection.client

    async def _dial(self, connection: Connection) -> None:
        host, port = self._target
        connected = False
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: connection.server, host, port)
            connected = True
        except (OSError, UnicodeError) as error:  # a TimeoutError is an OSError
            _log.warning("cannot reach %s:%d: %s", host, port, error)
        finally:
            if not connected:
                connection.refuse()


async def _listen(address: Address) -> socket.socket:
    """Bind to the first address that the host name stands for: `localhost` with port 0 must be one port."""
    host, port = address
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, resolved = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(resolved)
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003  the socket module's own signature
    except BaseException:
        listener.close()
        raise
    return listener
