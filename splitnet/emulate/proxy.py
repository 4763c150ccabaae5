"""The TCP proxy: connections to one address are carried over one emulated link to another address."""

import asyncio
import itertools
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from splitnet.emulate.connection import Connection
from splitnet.emulate.faults import Drop, Fault, InForce, Refuse, conditions
from splitnet.emulate.link import Link
from splitnet.emulate.listener import Address, Listener
from splitnet.emulate.shape import READ_BYTES, LinkShape
from splitnet.emulate.steps import Step

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
        self._listener = Listener(listen, self._connect)
        self._seed = seed
        self._max_connections = max_connections
        self._scratch = memoryview(bytearray(READ_BYTES))
        self._connections: set[Connection] = set()
        self._dials: set[asyncio.Task[bool]] = set()
        self._faults: list[InForce] = []
        self._player: asyncio.Task[None] | None = None

    @property
    def address(self) -> Address:
        """Host and port that clients connect to."""
        return self._listener.address

    async def __aenter__(self) -> Self:
        """Start to listen.

        Raises:
            OperatorError: The address cannot be listened on.
        """
        self._up = Link(self._shape, f"{self._seed} up")
        self._down = Link(self._shape, f"{self._seed} down")
        await self._listener.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and close every connection at once."""
        await self._listener.close()
        tasks: set[asyncio.Task[Any]] = {*self._dials, *([self._player] if self._player is not None else [])}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_TIMEOUT_S)
        for connection in self._connections:
            connection.abort()
        if self._connections:
            await asyncio.wait([each.closed for each in self._connections], timeout=_CLOSE_TIMEOUT_S)
        self._up.close()
        self._down.close()

    def play(self, steps: Sequence[Step], *, repeat: bool = False) -> None:
        """Give the link one shape after the other, from now on; the last one stays, or the first follows it.

        Args:
            steps: shapes and how long each holds; they take the place of steps that are being played.
            repeat: begin anew when the last step is over.
        """
        self._stop_playing()
        rounds = itertools.cycle(steps) if repeat else iter(steps)
        self._player = asyncio.get_running_loop().create_task(self._play(rounds))

    def reshape(self, shape: LinkShape) -> None:
        """Change the link for every byte that has not started to cross it, and stop playing steps."""
        self._stop_playing()
        self._set_shape(shape)

    async def inject(self, *faults: Fault) -> None:
        """Let faults be in force, beside those that are already; of two of a kind the later counts."""
        now_s = asyncio.get_running_loop().time()
        self._faults += [InForce(fault, now_s) for fault in faults if not isinstance(fault, Drop)]
        await self._impose()
        if any(isinstance(fault, Drop) for fault in faults):
            for connection in self._connections:
                connection.abort()

    async def heal(self, *faults: Fault) -> None:
        """End these faults, or all.

        Raises:
            OperatorError: the address was taken by somebody else while nobody was to listen.
        """
        self._faults = [each for each in self._faults if faults and each.fault not in faults]
        await self._impose()

    async def _impose(self) -> None:
        """Put into force what the list of faults says."""
        self._up.conditions = conditions(self._faults, "up")
        self._down.conditions = conditions(self._faults, "down")
        for connection in self._connections:
            connection.up.change(self._up.conditions)
            connection.down.change(self._down.conditions)
        if any(isinstance(each.fault, Refuse) for each in self._faults):
            await self._listener.refuse()
        else:
            await self._listener.accept()

    async def _play(self, steps: Iterable[Step]) -> None:
        loop = asyncio.get_running_loop()
        until_s = loop.time()  # summed up, so that a late timer shortens its own step and delays no other
        for step in steps:
            self._set_shape(step.shape)
            until_s += step.seconds
            await asyncio.sleep(until_s - loop.time())

    def _stop_playing(self) -> None:
        if self._player is not None:
            self._player.cancel()
            self._player = None

    def _set_shape(self, shape: LinkShape) -> None:
        self._shape = shape
        for link in (self._up, self._down):
            link.reshape(shape)
        for connection in self._connections:
            connection.up.regulate()
            connection.down.regulate()

    def _connect(self) -> asyncio.BaseProtocol:
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
        dial.add_done_callback(lambda _: self._on_dialled(dial, connection))
        return connection.client

    async def _dial(self, connection: Connection) -> bool:
        host, port = self._target
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: connection.server, host, port)
        except (OSError, UnicodeError) as error:  # a TimeoutError is an OSError
            _log.warning("cannot reach %s:%d: %s", host, port, error)
            return False
        return True

    def _on_dialled(self, dial: asyncio.Task[bool], connection: Connection) -> None:
        self._dials.discard(dial)
        if dial.cancelled() or not dial.result():
            connection.refuse()
