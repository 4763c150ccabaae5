"""ServerRound: the server's side of one secure sum. It relays, drops who does not follow, and opens the sum."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from splitnet.errors import RefusalError
from splitnet.learn.secure.context import RoundContext
from splitnet.learn.secure.contribution import Opened, decode
from splitnet.learn.secure.derivation import survivors_digest, vector_digest, view_digest
from splitnet.learn.secure.dispatch import (
    confirmations_messages,
    peers_messages,
    relay_messages,
    survivors_messages,
)
from splitnet.learn.secure.encoding import Encoding
from splitnet.learn.secure.envelope import Envelope, Kind
from splitnet.learn.secure.graph import Graph
from splitnet.learn.secure.keys import check_public
from splitnet.learn.secure.messages import (
    Advertise,
    Confirm,
    Ids,
    Masked,
    Shares,
    Table,
    Unmask,
)
from splitnet.learn.secure.opening import Closed, expected_shares, recover_secrets, remaining_masks, take_off
from splitnet.learn.secure.reasons import Reason, refusal
from splitnet.learn.secure.ring import Ring
from splitnet.learn.secure.rules import RoundRules


class Leg(IntEnum):
    """What the server waits for."""

    ADVERTISE = 1
    SHARES = 2
    MASKED = 3
    CONFIRM = 4
    UNMASK = 5
    DONE = 6


@dataclass(frozen=True, slots=True)
class Drop:
    """Why a device is no longer in the round."""

    leg: Leg
    reason: Reason
    text: str


class ServerRound:
    """One attempt at one round.

    In each leg the caller hands in what devices sent (`receive`), and ends it when enough is there (`advance`),
    which says what to send to whom; after the last leg `open` gives the sum. Vectors are added up as they come.

    Args:
        context: of the round.
        rules: from its settings.
        encoding: planned from its settings.
        pinned: raw Ed25519 keys of the cohort's devices, by id.
    """

    def __init__(
        self, context: RoundContext, rules: RoundRules, encoding: Encoding, pinned: Mapping[str, bytes]
    ) -> None:
        self.leg = Leg.ADVERTISE
        self.dropped: dict[str, Drop] = {}
        self._context = context
        self._rules = rules
        self._encoding = encoding
        self._pinned = dict(pinned)
        self._expected = set(pinned)
        self._advertised: dict[str, Envelope] = {}
        self._shares: dict[str, Shares] = {}
        self._statements: Table = {}
        self._confirmed: Table = {}
        self._unmasked: dict[str, Unmask] = {}
        self._sum = np.zeros(0, encoding.dtype)
        self._graph: Graph | None = None
        self._view = b""
        self._closed: Closed | None = None

    @property
    def waiting(self) -> frozenset[str]:
        """Devices whose message of this leg is missing."""
        return frozenset(self._expected - self._taken().keys() - self.dropped.keys())

    @property
    def survivors(self) -> Ids:
        """Whose vectors the sum holds; empty until the leg `masked` is over."""
        return () if self._closed is None else self._closed.survivors

    def drop(self, sender: str, text: str, *, reason: Reason = Reason.ABSENT) -> None:
        """Take a device out of the round that refused, failed or is gone; once its vector is in, only its shares.

        Args:
            sender: its id.
            text: what happened, for people.
            reason: what it gave as its reason.
        """
        self.dropped.setdefault(sender, Drop(self.leg, reason, text))

    def receive(self, sender: str, message: bytes, ring: Ring | None = None) -> Reason | None:
        """Take what a device sent; one that does not follow the protocol is dropped.

        Args:
            sender: device id, as the transport knows it.
            message: what it sent.
            ring: in the leg `masked`, its vector.

        Returns:
            None if it was taken. A repeated or late message, of an earlier leg or another attempt, is not taken
            and drops nobody (replayed, wrong-leg, another-round).
        """
        if self.leg is Leg.DONE or sender not in self._expected or sender in self.dropped:
            return Reason.WRONG_LEG
        if sender in self._taken():
            return Reason.REPLAYED
        try:
            envelope = Envelope.from_bytes(message)
            if envelope.context.names != self._context.names:
                return Reason.ANOTHER_ROUND
            if envelope.sender == sender and envelope.kind < self.leg.value:
                return Reason.WRONG_LEG
            self._check(sender, envelope)
            self._take(envelope, ring)
        except RefusalError as err:
            self.drop(sender, str(err), reason=Reason(err.reason))
            return Reason(err.reason)
        return None

    def advance(self) -> Table:
        """End the leg.

        Returns:
            What to send to each device for the next one.

        Raises:
            RefusalError: too few are left (too-few-survivors, neighbourhood): the round is over, and nothing was
                revealed.
        """
        steps: dict[Leg, Callable[[], Table]] = {
            Leg.ADVERTISE: self._peers,
            Leg.SHARES: self._relay,
            Leg.MASKED: self._survived,
            Leg.CONFIRM: self._confirmations,
        }
        if self.leg not in steps:
            raise refusal(Reason.WRONG_LEG, f"leg {self.leg.name}: it is ended by open(), once")
        sent = steps[self.leg]()
        self._expected = set(sent)
        self.leg = Leg(self.leg + 1)
        return sent

    def open(self, *, threads: int = 1) -> Opened:
        """End the last leg and return the sum over the survivors.

        Args:
            threads: that take masks off.

        Raises:
            RefusalError: too few shares came (too-few-survivors), a device had committed to another secret than it
                shared (bad-share), or the sum is none that devices can have made (out-of-range).
        """
        if self.leg is not Leg.UNMASK:
            raise refusal(
                Reason.WRONG_LEG, f"leg {self.leg.name}: the sum is opened once, after {Leg.UNMASK.name}"
            )
        self.leg = Leg.DONE
        closed = self._known_sets()
        secrets = recover_secrets(closed, self._unmasked)
        for liar in sorted(secrets.liars):
            self.dropped.setdefault(liar, Drop(Leg.UNMASK, Reason.BAD_SHARE, "gave a wrong share of a secret"))
        take_off(self._sum, remaining_masks(closed, secrets), threads=threads)
        return decode(self._encoding, self._sum, closed.survivors)

    def _taken(self) -> Mapping[str, object]:
        taken: dict[Leg, Mapping[str, object]] = {
            Leg.ADVERTISE: self._advertised,
            Leg.SHARES: self._shares,
            Leg.MASKED: self._statements,
            Leg.CONFIRM: self._confirmed,
            Leg.UNMASK: self._unmasked,
        }
        return taken.get(self.leg, {})

    def _check(self, sender: str, envelope: Envelope) -> None:
        envelope.expect(self._context, Kind(self.leg.value))
        if envelope.sender != sender:
            raise refusal(Reason.BAD_SIGNATURE, f"message of {envelope.sender}: it came from {sender}")
        envelope.verify(self._pinned)

    def _take(self, envelope: Envelope, ring: Ring | None) -> None:
        sender, payload = envelope.sender, envelope.payload
        if self.leg is Leg.ADVERTISE:
            self._take_advertise(envelope)
        elif self.leg is Leg.SHARES:
            shares = Shares.from_bytes(payload)
            if tuple(shares.boxes) != self._known_graph().neighbours(sender):
                raise refusal(Reason.NEIGHBOURHOOD, f"shares of {sender}: expected one for each neighbour")
            self._shares[sender] = shares
        elif self.leg is Leg.MASKED:
            self._take_vector(envelope, ring)
        elif self.leg is Leg.CONFIRM:
            if Confirm.from_bytes(payload) != Confirm(self._view, survivors_digest(self.survivors)):
                raise refusal(Reason.SETS_DIFFER, f"confirmation of {sender}: of other sets")
            self._confirmed[sender] = envelope.signature
        else:
            unmask = Unmask.from_bytes(payload)
            if (set(unmask.seeds), set(unmask.keys)) != expected_shares(self._known_sets(), sender):
                raise refusal(Reason.BAD_SHARE, f"shares from {sender}: expected one of each device that it holds")
            self._unmasked[sender] = unmask

    def _take_advertise(self, envelope: Envelope) -> None:
        message = Advertise.from_bytes(envelope.payload)
        if message.encoding_digest != self._encoding.digest:
            raise refusal(Reason.ANOTHER_CONFIG, f"device {envelope.sender}: it has another encoding")
        for key in (message.mask_key, message.seal_key):
            check_public(key)
        self._advertised[envelope.sender] = envelope

    def _take_vector(self, envelope: Envelope, ring: Ring | None) -> None:
        sender, encoding = envelope.sender, self._encoding
        if ring is None or ring.shape != (encoding.size,) or ring.dtype != encoding.dtype:
            came = "none" if ring is None else f"{ring.dtype} {ring.shape}"
            raise refusal(
                Reason.BAD_LENGTH, f"vector of {sender}: {came}, expected {encoding.dtype} ({encoding.size},)"
            )
        words = np.ascontiguousarray(ring)
        message = Masked.from_bytes(envelope.payload)
        if message != Masked(self._view, vector_digest(words)):
            raise refusal(Reason.SETS_DIFFER, f"vector of {sender}: signed for other sets or other words")
        self._sum += words
        self._statements[sender] = message.vector_digest + envelope.signature

    def _peers(self) -> Table:
        advertised = {each: self._advertised[each].to_bytes() for each in self._alive(self._advertised)}
        if not 2 <= len(advertised) <= self._encoding.devices:
            raise refusal(
                Reason.TOO_FEW_SURVIVORS if len(advertised) < 2 else Reason.OVERFLOW,
                f"{len(advertised)} devices answered: expected 2 to {self._encoding.devices}",
            )
        devices = {each: hashlib.sha256(data).digest() for each, data in advertised.items()}
        self._graph = Graph(self._context, devices, self._rules)
        return peers_messages(self._context, self._graph, advertised)

    def _relay(self) -> Table:
        graph = self._known_graph()
        self._shares = {each: self._shares[each] for each in self._alive(self._shares)}
        graph.check_alive(self._shares)
        self._sum = np.zeros(self._encoding.size, self._encoding.dtype)
        self._view = view_digest(graph, tuple(self._shares))
        return relay_messages(self._context, graph, self._shares)

    def _survived(self) -> Table:
        # A device that was dropped once its vector was in the sum still survives: the sum holds it.
        graph, survivors = self._known_graph(), tuple(sorted(self._statements))
        graph.check_alive(survivors)
        keys = {each: Advertise.from_bytes(sent.payload).mask_key for each, sent in self._advertised.items()}
        commitments = {each: shares.commitment for each, shares in self._shares.items()}
        self._closed = Closed(self._context, graph, tuple(self._shares), survivors, keys, commitments)
        return survivors_messages(self._closed, self._statements)

    def _confirmations(self) -> Table:
        confirmed, needed = self._alive(self._confirmed), self._known_graph().threshold
        if len(confirmed) < needed:
            raise refusal(
                Reason.TOO_FEW_SURVIVORS, f"{len(confirmed)} devices confirmed the survivors: {needed} are needed"
            )
        signatures = {each: self._confirmed[each] for each in confirmed}
        return confirmations_messages(self._context, signatures, needed - 1)

    def _alive(self, taken: Mapping[str, object]) -> Ids:
        return tuple(sorted(taken.keys() - self.dropped.keys()))

    def _known_graph(self) -> Graph:
        assert self._graph is not None
        return self._graph

    def _known_sets(self) -> Closed:
        assert self._closed is not None
        return self._closed
