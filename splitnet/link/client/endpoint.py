"""One address of the tier above: connected again and again, and left alone while it does not answer."""

import logging
import math
import random
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from splitnet.config import LinkConfig
from splitnet.errors import SplitNetError, UnavailableError, without_frames
from splitnet.link.client.backoff import Backoff
from splitnet.link.client.breaker import SILENT_S, Breaker
from splitnet.link.client.channel import Target
from splitnet.link.client.connection import Connection, Terms
from splitnet.link.client.inflight import Asked, Call
from splitnet.protocol import ModelName, StreamResponse
from splitnet.telemetry import BreakerState, Events

logger = logging.getLogger(__name__)

_UNREACHED = "cannot be reached"
_CLOSED = "is no longer asked: the link is closed"


class Owner(Protocol):
    """Who uses endpoints, and is told by their threads."""

    def answered(self, connection: Connection, answer: StreamResponse, size_bytes: int) -> None:
        """Take an answer that came on `connection`."""

    def known(self, endpoint: "Endpoint") -> None:
        """Note that the endpoint came up, or that its first attempt failed."""

    def silent(self, endpoint: "Endpoint") -> None:
        """Note that nothing came on the endpoint's connection while a request went unanswered."""

    def lost(self, connection: Connection, reason: str) -> None:
        """Take back what was sent on `connection`: it has ended, and nothing more comes on it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How an endpoint comes back.

    Attributes:
        terms: of its connections.
        settings: of the link.
        events: told of links and breakers.
        random_source: draws the pauses.
    """

    terms: Terms
    settings: LinkConfig
    events: Events
    random_source: random.Random


class Endpoint:
    """Keeps a connection to one address, from a thread of its own, until it is closed."""

    def __init__(self, target: Target, policy: Policy, owner: Owner, *, beside: "Endpoint | None" = None) -> None:
        """Start connecting in the background.

        What is sent before the first attempt has ended waits for it; so does what is sent after a connection that
        was of use is lost, until the next attempt has ended.

        Args:
            target: where to.
            policy: how it comes back.
            owner: whom its thread tells.
            beside: one of this address that is silent, whose failures count on; that it comes to nothing is no
                news.
        """
        self.target = target
        self.beside = beside is not None
        #: When another one was last made beside it, or it was made itself, `time.monotonic()` seconds.
        self.beside_s = time.monotonic() if self.beside else -math.inf
        self.label = str(target)
        self.is_known = False
        self.up_since_s = -math.inf
        self._heard_s = -math.inf
        self.down = _UNREACHED
        self._policy = policy
        self._owner = owner
        settings = policy.settings
        self._backoff = Backoff(
            settings.reconnect_ms / 1e3, settings.reconnect_most_ms / 1e3, policy.random_source
        )
        told = partial(_breaker_changed, self.label, policy.events)
        self.breaker: Breaker = beside.breaker if beside is not None else Breaker(settings.breaker_failures, told)
        self._lock = threading.Lock()
        # Nobody is left for one that has no room for another stream.
        self._connection = Connection(target, policy.terms, proves=self.beside)
        self._up = False
        self._waits = True
        self._useful = False
        self._replaced = False
        self._has_served = False
        self._told = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"link-{self.label}", daemon=True)
        self._thread.start()

    @property
    def up(self) -> bool:
        """Whether it is connected and asked."""
        return self._up and self.breaker.state != "open"

    @property
    def open(self) -> bool:
        """Whether it takes requests, be it that they wait for the attempt to connect that is under way."""
        return self.up or self._waits

    @property
    def extensions(self) -> frozenset[str]:
        """What its server speaks beyond the protocol, while it is connected."""
        return self._connection.extensions if self._up else frozenset()

    def offer(self, call: Call) -> bool:
        """Send `call`, if it may be sent here now."""
        with self._lock:
            if self._ending.is_set() or not (self._up or self._waits) or not self.breaker.admit():
                return False
            # Its time elsewhere tells nothing of this upstream.
            since_s = time.monotonic() if call.tried else call.begun_s
            call.asked.append(Asked(self, self._connection, since_s))
            call.tried.append(self)
            self._connection.send(call)
            return True

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come for a while, be it that nothing was asked."""
        return self.silent_since(time.monotonic() - SILENT_S)

    @property
    def may_be_dead(self) -> bool:
        """Whether silence may mean that its connection is dead: if it is one that served in time, or the first."""
        return self._has_served or not self.beside

    def served(self) -> None:
        """Note that an answer came in time."""
        self._has_served = True

    def silent_since(self, moment_s: float) -> bool:
        """Whether nothing has come from there since that `time.monotonic()`."""
        return self._heard_s < moment_s

    def expired(self, call: Call) -> None:
        """Note that an answer did not come by its deadline; after some in a row the connection is given up."""
        connection = self._connection
        asked = call.asked_on(connection)
        if asked is None or not self._up or self._ending.is_set():
            return
        if self.breaker.failed(asked_s=asked.since_s):
            self.down = f"has not answered {self._policy.settings.breaker_failures} requests in a row"
            connection.close()
        elif self.is_silent and self.silent_since(asked.since_s):
            self._owner.silent(self)

    def withdrawn(self, call: Call) -> None:
        """Note that the caller has cancelled a call, and tell the server."""
        self.breaker.withdrawn()
        connection = self._connection
        if call.asked_on(connection) is not None:
            connection.withdraw(call)

    def outrun(self, call: Call) -> None:
        """Note that another that was asked later was quicker: where nothing came from this one, it has failed."""
        self.withdrawn(call)
        if any(each.carrier is self and self.silent_since(each.since_s) for each in call.asked):
            self.expired(call)

    def model_ready(self, model: ModelName, timeout_s: float) -> bool:
        """Ask whether it answers for `model` now; see `call_once`."""
        return self._connection.model_ready(model, timeout_s)

    def retire(self, *, replaced: bool) -> None:
        """Take nothing more, and close once all that was sent is answered.

        Args:
            replaced: whether another endpoint of this address goes on, so that its end is no event.
        """
        self._replaced = replaced
        with self._lock:
            self._ending.set()
            connection, up = self._connection, self._up
        if up:
            connection.finish()
        else:
            connection.close()

    def close(self) -> None:
        """End what is open."""
        with self._lock:
            self._ending.set()
            connection = self._connection
        connection.close()

    @property
    def ended(self) -> bool:
        """Whether its thread is over."""
        return not self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        """Wait for its thread, at most `timeout_s` seconds."""
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    def _keep(self) -> None:
        """Connect until closed, with growing pauses between the beginnings of attempts that were of no use."""
        while True:
            since_s = time.monotonic()
            self._live()
            if self._useful:
                self._backoff.reset()
                since_s = time.monotonic()
            self._ending.wait(max(0.0, since_s + self._backoff.next_s() - time.monotonic()))
            if self._ending.is_set():
                return

    def _live(self) -> None:
        """Open the connection and take its answers until it ends."""
        connection, reason, problem = self._connection, "failed", None
        self._useful = False
        try:
            connection.open(self._policy.settings.connect_ms / 1e3)
            self._came_up()
            reason = connection.run(lambda answer, size_bytes: self._received(connection, answer, size_bytes))
        except SplitNetError as err:
            reason, problem = _UNREACHED, None if self._ending.is_set() else without_frames(err)
        except Exception:
            if not self._ending.is_set():  # a channel that is closed under our hands raises as well
                logger.exception("link to %s failed", self.label)
        finally:
            connection.close()
            self._went_down(connection, reason)
        if problem is not None:
            self._say_unreached(problem)

    def _came_up(self) -> None:
        self.breaker.connected()
        with self._lock:
            self._up = self.is_known = True
            self.up_since_s = self._heard_s = time.monotonic()
        level = logging.WARNING if self._told else logging.INFO  # who has read that it is down reads this too
        logger.log(level, "link to %s: up", self.label)
        self.down, self._told = "", False
        self._owner.known(self)  # first: whom it replaces tells nothing of its end after that
        self._policy.events.link(self.label, up=True)

    def _went_down(self, connection: Connection, reason: str) -> None:
        with self._lock:
            was_up, self._up = self._up, False
            first, self.is_known = not self.is_known, True
            self._waits = was_up and self.breaker.state == "closed"
            self._connection = Connection(self.target, self._policy.terms)
        if self._ending.is_set():
            self.down = _CLOSED
        elif reason == _UNREACHED or not self.down:
            self.down = reason
        if was_up and not self._replaced:
            if not self._ending.is_set():
                logger.info("link to %s: %s", self.label, self.down)
                if not self._useful:
                    self.breaker.failed()
            self._policy.events.link(self.label, up=False)
        self._owner.lost(connection, self.down)
        connection.let_go()
        if first:
            self._owner.known(self)

    def _received(self, connection: Connection, answer: StreamResponse, size_bytes: int) -> None:
        self._useful, self._heard_s = True, time.monotonic()
        self.breaker.answered()
        self._owner.answered(connection, answer, size_bytes)

    def _say_unreached(self, error: SplitNetError) -> None:
        """Tell the operator once, until it comes back."""
        if self._told or (self.beside and self.up_since_s < 0):
            logger.debug("link to %s: %s: %s", self.label, _UNREACHED, error)
            return
        self._told = True
        diagnose, why = self._policy.terms.diagnose, None
        if diagnose is not None and isinstance(error, UnavailableError):  # somebody is there, and answers at once
            why = diagnose(self.target)
        logger.warning("link to %s: %s: %s", self.label, _UNREACHED, why or error)


def _breaker_changed(label: str, events: Events, state: BreakerState) -> None:
    logger.info("link to %s: breaker %s", label, state)
    events.breaker(label, state)
