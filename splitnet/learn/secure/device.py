"""DeviceRound: a device's side of one secure sum, a step for each leg, from the server's bytes to its own."""

import hashlib

from splitnet.learn.secure.admission import check_roster, check_rules, neighbours_keys
from splitnet.learn.secure.agreement import check_confirmations, check_sharers, check_survivors, confirmation
from splitnet.learn.secure.context import RoundContext
from splitnet.learn.secure.contribution import Contribution, encode
from splitnet.learn.secure.derivation import own_mask, pair_mask, seed_commitment, vector_digest, view_digest
from splitnet.learn.secure.device_state import DeviceState, Stage
from splitnet.learn.secure.encoding import Encoding
from splitnet.learn.secure.envelope import Kind, from_server, signed_message
from splitnet.learn.secure.graph import Graph
from splitnet.learn.secure.keys import PUBLIC_KEY_BYTES, load, public_key
from splitnet.learn.secure.messages import (
    Advertise,
    Confirmations,
    Masked,
    Peers,
    Relay,
    Shares,
    Survivors,
    Table,
    Unmask,
)
from splitnet.learn.secure.reasons import Reason, refusal
from splitnet.learn.secure.ring import KEY_BYTES, Mask, Ring, add_masks
from splitnet.learn.secure.rules import Party, RoundRules
from splitnet.learn.secure.seat import Seat
from splitnet.learn.secure.shamir import SHARE_BYTES
from splitnet.learn.secure.sharing import open_shares, seal_shares


class DeviceRound:
    """One device in one attempt at one round.

    Each step checks what the server sent, records the leg in the journal, and only then answers; a step that
    refuses leaves the device where it was. Made by `begin`, or by `from_bytes` in the next process.

    Args:
        party: the device.
        context: of the round, as the device itself sees it: the digest of the model it was given and of the
            settings it accepted.
        rules: from those settings.
        encoding: planned from those settings.
        state: where it is.
    """

    def __init__(
        self, party: Party, context: RoundContext, rules: RoundRules, encoding: Encoding, state: DeviceState
    ) -> None:
        self._party = party
        self._context = context
        self._rules = rules
        self._encoding = encoding
        self._state = state

    @staticmethod
    def begin(
        party: Party, context: RoundContext, rules: RoundRules, encoding: Encoding
    ) -> tuple["DeviceRound", bytes]:
        """Make the round's keys.

        Returns:
            The device's round, and its message of the leg `advertise`.

        Raises:
            RefusalError: the threshold is too low (low-threshold), or the round was answered before (replayed).
        """
        check_rules(party, rules)
        mask_key, seal_key = (bytearray(party.random(KEY_BYTES)) for _ in range(2))
        device = DeviceRound(party, context, rules, encoding, DeviceState(Stage.ADVERTISED, mask_key, seal_key))
        device._claim("advertise")
        return device, device._advertisement()

    @property
    def stage(self) -> Stage:
        """What the device did last."""
        return self._state.stage

    def to_bytes(self) -> bytes:
        """Return everything that the next leg needs. It holds secrets: seal it before it leaves memory."""
        return self._state.to_bytes(self._context)

    @staticmethod
    def from_bytes(
        state: bytes, party: Party, context: RoundContext, rules: RoundRules, encoding: Encoding
    ) -> "DeviceRound":
        """Go on where `to_bytes` left off.

        Raises:
            RefusalError: the state is damaged (malformed) or of another round.
        """
        check_rules(party, rules)
        return DeviceRound(party, context, rules, encoding, DeviceState.from_bytes(state, context))

    def wipe(self) -> None:
        """Overwrite every secret: the device is out of this round."""
        self._state.wipe()

    def share(self, message: bytes) -> bytes:
        """Leg `shares`: check who is in the round and share this device's secrets among its neighbours.

        Args:
            message: the server's Peers.

        Raises:
            RefusalError: see `admission`; wrong-leg; replayed.
        """
        peers = Peers.from_bytes(self._receive(message, Kind.PEERS, Stage.ADVERTISED))
        check_roster(self._party, peers, hashlib.sha256(self._advertisement()).digest(), self._encoding)
        seat = self._seat(peers.devices)
        keys = neighbours_keys(seat, self._encoding, peers.advertised)
        state = self._state
        state.seed = bytearray(self._party.random(KEY_BYTES))
        boxes, kept = seal_shares(seat, state, keys)
        self._claim("shares")
        state.devices, state.peers, state.shares = peers.devices, keys, {seat.id: kept}
        state.stage = Stage.SHARED
        commitment = seed_commitment(self._context, seat.id, state.seed)
        return self._send(Kind.SHARES, Shares(commitment, boxes).to_bytes())

    def mask(self, message: bytes, contribution: Contribution) -> tuple[bytes, Ring]:
        """Leg `masked`: open the neighbours' shares, encode the contribution and mask it.

        Args:
            message: the server's Relay.
            contribution: what this device adds; nothing of it is kept.

        Returns:
            The message, and the masked vector that travels beside it, uint32 or uint64 [size].

        Raises:
            RefusalError: see `agreement.check_sharers`; a neighbour's shares were not made for this device
                (bad-ciphertext); the contribution is not within what was planned (`contribution.encode`);
                wrong-leg; replayed.
        """
        relay = Relay.from_bytes(self._receive(message, Kind.RELAY, Stage.SHARED))
        state, seat = self._state, self._seat(self._state.devices)
        check_sharers(seat, relay)
        shares = open_shares(seat, state, relay.boxes)
        view = view_digest(seat.graph, relay.sharers)
        masks = self._masks(view, tuple(relay.boxes))
        ring = encode(self._encoding, contribution)
        self._claim("masked")
        add_masks(ring, masks)
        state.shares |= shares
        state.sharers = relay.sharers
        state.wipe_keys()
        state.stage = Stage.MASKED
        return self._send(Kind.MASKED, Masked(view, vector_digest(ring)).to_bytes()), ring

    def confirm(self, message: bytes) -> bytes:
        """Leg `confirm`: check whose vectors the server has, and sign that set.

        Args:
            message: the server's Survivors.

        Raises:
            RefusalError: see `agreement.check_survivors`; this device confirmed another attempt at this round
                (second-unmask); wrong-leg; replayed.
        """
        told = Survivors.from_bytes(self._receive(message, Kind.SURVIVORS, Stage.MASKED))
        state, seat = self._state, self._seat(self._state.devices)
        check_survivors(seat, state.sharers, told)
        self._claim("confirm")
        # Whoever confirms once for all attempts makes sure that one set is opened: two need 2t confirmations.
        if not self._party.journal.claim(self._context.open_key):
            raise refusal(
                Reason.SECOND_UNMASK,
                f"round {self._context.round}: this device has agreed to open another attempt",
            )
        state.survivors = told.survivors
        state.stage = Stage.CONFIRMED
        return self._send(Kind.CONFIRM, confirmation(seat, state.sharers, told.survivors).to_bytes())

    def unmask(self, message: bytes) -> bytes:
        """Leg `unmask`: check that enough devices signed the same set, and give out one share for each device.

        Of a survivor that is the share of its seed, of a dead one that of its mask key. All secrets are wiped.

        Args:
            message: the server's Confirmations.

        Raises:
            RefusalError: fewer than the threshold signed, or a signature is for another set (sets-differ); this
                device has given its shares out before (second-unmask); wrong-leg.
        """
        given = Confirmations.from_bytes(self._receive(message, Kind.CONFIRMATIONS, Stage.CONFIRMED))
        state = self._state
        check_confirmations(self._seat(state.devices), state.sharers, state.survivors, given.signatures)
        if not self._party.journal.claim(self._context.claim_key("unmask")):
            raise refusal(
                Reason.SECOND_UNMASK, f"round {self._context.round}: this device has given its shares out before"
            )
        alive = set(state.survivors)
        seeds = {each: bytes(share[:SHARE_BYTES]) for each, share in state.shares.items() if each in alive}
        keys = {each: bytes(share[SHARE_BYTES:]) for each, share in state.shares.items() if each not in alive}
        state.wipe()
        return self._send(Kind.UNMASK, Unmask(seeds, keys).to_bytes())

    def _receive(self, message: bytes, kind: Kind, stage: Stage) -> bytes:
        payload = from_server(message, self._context, kind)
        if self._state.stage is Stage.DONE:
            raise refusal(Reason.SECOND_UNMASK, "this device has done its part of the round; it answers no more")
        if self._state.stage is not stage:
            raise refusal(
                Reason.WRONG_LEG, f"{kind.name}: it follows {stage.name}, and this device is at {self.stage.name}"
            )
        return payload

    def _claim(self, leg: str) -> None:
        if not self._party.journal.claim(self._context.claim_key(leg)):
            raise refusal(
                Reason.REPLAYED,
                f"leg {leg} of round {self._context.round}, attempt {self._context.attempt}: answered before",
            )

    def _send(self, kind: Kind, payload: bytes) -> bytes:
        party = self._party
        return signed_message(self._context, kind, party.id, payload, sign=party.sign).to_bytes()

    def _advertisement(self) -> bytes:
        # Ed25519 signatures are deterministic (RFC 8032), so this is the same message whenever it is made.
        keys = (public_key(self._state.mask_key), public_key(self._state.seal_key))
        return self._send(Kind.ADVERTISE, Advertise(*keys, self._encoding.digest).to_bytes())

    def _seat(self, devices: Table) -> Seat:
        return Seat(self._party, self._context, Graph(self._context, devices, self._rules))

    def _masks(self, view: bytes, partners: tuple[str, ...]) -> list[Mask]:
        context, own, state = self._context, self._party.id, self._state
        private = load(state.mask_key)
        pairs = (
            pair_mask(context, view, (own, peer), (private, state.peers[peer][:PUBLIC_KEY_BYTES]))
            for peer in partners
        )
        return [own_mask(context, view, own, state.seed), *pairs]
