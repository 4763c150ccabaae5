"""Where the proxy listens: one address, which can refuse for a while without being given up."""

import asyncio
import socket
from collections.abc import Callable

from splitnet.errors import OperatorError

Address = tuple[str, int]

_BACKLOG = 128
# Turns of the loop from accepting a socket to the transport that holds it.
_HAND_OVER_TURNS = 2


class Listener:
    """A listening socket that can be closed and opened again on the same port."""

    def __init__(self, address: Address, on_connection: Callable[[], asyncio.BaseProtocol]) -> None:
        self._asked = address
        self._on_connection = on_connection
        self._server: asyncio.Server | None = None
        self._bound: Address | None = None
        # Holds the port while nobody listens: bound and not listening, so that the kernel refuses.
        self._held: socket.socket | None = None

    @property
    def address(self) -> Address:
        """Host and port that clients connect to."""
        assert self._bound is not None, "the proxy is not open"
        return self._bound

    async def open(self) -> None:
        """Start to listen.

        Raises:
            OperatorError: the address cannot be listened on.
        """
        try:
            bound = await _bind(self._asked)
        except (OSError, UnicodeError) as error:  # UnicodeError: no host could have that name
            host, port = self._asked
            raise OperatorError(f"cannot listen on {host}:{port}: {error}") from error
        self._bound = bound.getsockname()[:2]
        await self._serve(bound)

    async def refuse(self) -> None:
        """Refuse whoever connects from now on, and keep the port.

        Raises:
            OperatorError: somebody else took the port in that moment.
        """
        if self._server is None:
            return
        await self._stop(self._server)
        try:
            self._held = await _bind(self.address)
        except OSError as error:
            host, port = self.address
            raise OperatorError(f"the port {host}:{port} was taken by somebody else: {error}") from error

    async def accept(self) -> None:
        """Take connections again."""
        if self._held is not None:
            held, self._held = self._held, None
            await self._serve(held)

    async def close(self) -> None:
        """Stop listening and give the port up."""
        if self._server is not None:
            await self._stop(self._server)
        if self._held is not None:
            self._held.close()
            self._held = None

    async def _serve(self, bound: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._on_connection, sock=bound, backlog=_BACKLOG)

    async def _stop(self, server: asyncio.Server) -> None:
        """Close the server behind those it has accepted: it would leave open whom it has not handed over."""
        self._server = None
        loop = asyncio.get_running_loop()
        for each in server.sockets:
            loop.remove_reader(each)
        for _ in range(_HAND_OVER_TURNS):
            await asyncio.sleep(0)
        server.close()


async def _bind(address: Address) -> socket.socket:
    """Bind to the first address that the host name stands for: `localhost` with port 0 must be one port."""
    host, port = address
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, resolved = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(resolved)
        bound.setblocking(False)  # noqa: FBT003  the socket module's own signature
    except BaseException:
        bound.close()
        raise
    return bound
