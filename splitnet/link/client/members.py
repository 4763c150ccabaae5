"""Which endpoints a link has, as names and certificates change, and whose turn it is."""

import itertools
import logging
import threading
import time
from collections.abc import Iterable, Sequence

from splitnet.deadline import Deadline
from splitnet.link.client.channel import Target
from splitnet.link.client.endpoint import Endpoint, Owner, Policy
from splitnet.link.client.inflight import Call
from splitnet.link.client.names import Lookup, is_name
from splitnet.link.timer import DeadlineTimer

logger = logging.getLogger(__name__)

# A connection that is replaced may take so long to answer what it has; then that is asked of another.
_RETIREMENT_S = 60.0
# Beside a connection that is silent, and beside its successor, others are made at most so often.
_BESIDE_EACH_S = 1.0


class Members:
    """The endpoints of a link: one for each address, or for each that a host name stands for."""

    def __init__(self, policy: Policy, owner: Owner, timer: DeadlineTimer) -> None:
        """Begin without any; `start` makes them.

        Args:
            policy: of the endpoints.
            owner: whom their threads tell.
            timer: ends those that do not end.
        """
        self._policy = policy
        self._owner = owner
        self._timer = timer
        self._turns = itertools.count()
        self._changed = threading.Condition()
        self._groups: dict[Target, tuple[Endpoint, ...]] = {}
        self._endpoints: tuple[Endpoint, ...] = ()
        self._successors: dict[Endpoint, Endpoint] = {}
        self._retired: list[Endpoint] = []
        self._lookup: Lookup | None = None
        self._retry_turns = itertools.count()
        self._closed = False

    def start(self, targets: Sequence[Target]) -> None:
        """Connect to all of them, and follow the names among them."""
        with self._changed:
            self._groups = {target: (self._begun(target),) for target in targets}
            self._flatten()
        if names := [target for target in targets if is_name(target.address[0])]:
            self._lookup = Lookup(names, self._found)
        if self._policy.terms.credentials is not None:
            self._renew_later()

    def all(self) -> tuple[Endpoint, ...]:
        """Return the endpoints as they are now."""
        return self._endpoints

    def offer(self, call: Call) -> bool:
        """Send `call` to the next endpoint that takes it and was not tried; those that are up come first."""
        # Retries have turns of their own: else, of two, the one would get all that is new, the other all retries.
        endpoints, turn = self._endpoints, next(self._retry_turns if call.tried else self._turns)
        for up in (True, False):
            for step in range(len(endpoints)):
                endpoint = endpoints[(turn + step) % len(endpoints)]
                if endpoint.up is up and endpoint not in call.tried and endpoint.offer(call):
                    return True
        return False

    @property
    def are_several(self) -> bool:
        """Whether there is more than one, be it up or not."""
        return len(self._endpoints) > 1

    @property
    def open(self) -> bool:
        """Whether one of them takes requests."""
        return any(endpoint.open for endpoint in self._endpoints)

    def has_another(self, call: Call) -> bool:
        """Whether an endpoint that `call` was not sent to may take it."""
        return any(each not in call.tried and each.open for each in self._endpoints)

    def why_down(self) -> str:
        """Return what keeps requests from being sent, as of the first endpoint that says so."""
        return next((endpoint.down for endpoint in self._endpoints if endpoint.down), "takes no request now")

    def wait_until_known(self, timeout_s: float) -> None:
        """Wait until one is up or the first attempt of each has ended, at most `timeout_s` seconds."""
        with self._changed:
            self._changed.wait_for(self._is_known, timeout_s)

    def known(self, endpoint: Endpoint) -> None:
        """Note that an endpoint came up, or that its first attempt failed."""
        leaves: Endpoint | None = None
        with self._changed:
            if (before := self._successors.pop(endpoint, None)) is not None:
                leaves = self._replace(before, endpoint) if endpoint.up else endpoint
                if leaves is endpoint:  # packets may get through by now
                    self.stand_by(before)
            self._changed.notify_all()
        if leaves is not None:
            self._retire(leaves, replaced=True)

    def renew(self) -> None:
        """Make a fresh connection beside each that is up, and move over once it is up as well."""
        with self._changed:
            for endpoint in self._endpoints:
                self._succeed(endpoint)

    def stand_by(self, endpoint: Endpoint) -> None:
        """Make a fresh connection beside one, if all that are up are silent, and move over if that comes up.

        Where packets are lost for a while, TCP sends the old ones again after pauses that double: a fresh
        connection is there first. Where the link or the server is only slow, what is in flight may still end on
        the old one, and no third is made: the second has not served in time either.
        """
        with self._changed:
            up = [each for each in self._endpoints if each.up]
            if endpoint not in up or not all(
                each.is_silent for each in up
            ):  # those that are not are asked as it is
                return
            now_s = time.monotonic()
            is_time = endpoint.may_be_dead and now_s >= endpoint.beside_s + _BESIDE_EACH_S
            if is_time and self._succeed(endpoint, beside=endpoint):
                endpoint.beside_s = now_s

    def close(self) -> None:
        """Close them all, and wait for their threads."""
        with self._changed:
            self._closed = True
            endpoints = (*self._endpoints, *self._successors, *self._retired)
        if self._lookup is not None:
            self._lookup.close()
        for endpoint in endpoints:
            endpoint.close()
        until = Deadline.after_ms(5_000.0)
        for endpoint in endpoints:
            endpoint.join(until.remaining_s())
        with self._changed:  # they know their owner, which knows this
            self._groups, self._successors, self._retired = {}, {}, []
            self._flatten()

    def _begun(self, target: Target) -> Endpoint:
        self._policy.events.upstream(str(target))
        return self._made(target)

    def _made(self, target: Target, *, beside: Endpoint | None = None) -> Endpoint:
        return Endpoint(target, self._policy, self._owner, beside=beside)

    def _succeed(self, endpoint: Endpoint, *, beside: Endpoint | None = None) -> bool:
        """Make the successor of an endpoint that is up, unless one is on its way; return whether it was made."""
        if not endpoint.up or endpoint in self._successors.values() or self._closed:
            return False
        self._successors[self._made(endpoint.target, beside=beside)] = endpoint
        return True

    def _flatten(self) -> None:
        self._endpoints = tuple(itertools.chain.from_iterable(self._groups.values()))
        self._changed.notify_all()

    def _is_known(self) -> bool:
        return any(each.up for each in self._endpoints) or all(each.is_known for each in self._endpoints)

    def _replace(self, before: Endpoint, after: Endpoint) -> Endpoint:
        """Put `after` into the place of `before`, and return who leaves."""
        for origin, group in self._groups.items():
            if before in group:
                self._groups[origin] = tuple(after if each is before else each for each in group)
                self._flatten()
                return before
        return after  # the name no longer stands for that address

    def _found(self, origin: Target, targets: Iterable[Target]) -> None:
        """Take what a name stands for now."""
        with self._changed:
            if self._closed:
                return
            before = {endpoint.target: endpoint for endpoint in self._groups[origin]}
            wanted = dict.fromkeys(targets)
            if wanted.keys() == before.keys():
                return
            self._groups[origin] = tuple(before.get(target) or self._begun(target) for target in wanted)
            self._flatten()
        logger.info("link to %s: now %s", origin, ", ".join(map(str, wanted)))
        for target, endpoint in before.items():
            if target not in wanted:
                self._retire(endpoint, replaced=False)

    def _retire(self, endpoint: Endpoint, *, replaced: bool) -> None:
        endpoint.retire(replaced=replaced)
        with self._changed:
            self._retired = [each for each in (*self._retired, endpoint) if not each.ended]
        self._timer.call_at(Deadline.after_ms(_RETIREMENT_S * 1e3), endpoint.close)

    def _renew_later(self) -> None:
        self._timer.call_at(Deadline.after_ms(self._policy.settings.renew_s * 1e3), self._renew_now)

    def _renew_now(self) -> None:
        self.renew()
        self._renew_later()
