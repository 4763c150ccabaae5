"""What each message says, as fields and as the payload of its envelope; to the byte in docs/secure-sum.md."""

from dataclasses import dataclass
from typing import TypeAlias

from splitnet.learn.secure.context import DIGEST_BYTES
from splitnet.learn.secure.envelope import SIGNATURE_BYTES
from splitnet.learn.secure.keys import NONCE_BYTES, PUBLIC_KEY_BYTES, TAG_BYTES
from splitnet.learn.secure.shamir import SHARE_BYTES
from splitnet.learn.secure.wire import Reader, id_list, number, table

#: A share of the seed, then one of the private key, sealed.
BOX_BYTES = NONCE_BYTES + 2 * SHARE_BYTES + TAG_BYTES

Ids: TypeAlias = tuple[str, ...]
Table: TypeAlias = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Advertise:
    """Device: its X25519 keys of this round.

    Attributes:
        mask_key: what masks are agreed with, 32 bytes.
        seal_key: what shares are sealed with, 32 bytes.
        encoding_digest: how it will encode, 32 bytes.
    """

    mask_key: bytes
    seal_key: bytes
    encoding_digest: bytes

    def to_bytes(self) -> bytes:
        """Return the payload."""
        return self.mask_key + self.seal_key + self.encoding_digest

    @staticmethod
    def from_bytes(payload: bytes) -> "Advertise":
        """Read the payload, or refuse it (malformed); so do all other messages."""
        reader = Reader(payload, "advertise")
        message = Advertise(
            reader.take(PUBLIC_KEY_BYTES), reader.take(PUBLIC_KEY_BYTES), reader.take(DIGEST_BYTES)
        )
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class Peers:
    """Server: who is in the round.

    Attributes:
        devices: SHA-256 of every device's Advertise message, by id.
        advertised: the messages of the receiver's neighbours, as they sent them.
    """

    devices: Table
    advertised: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """Return the payload."""
        messages = b"".join(number(len(each), 2) + each for each in self.advertised)
        return table(self.devices) + number(len(self.advertised), 2) + messages

    @staticmethod
    def from_bytes(payload: bytes) -> "Peers":
        """Read the payload."""
        reader = Reader(payload, "peers")
        devices = reader.table(DIGEST_BYTES)
        advertised = tuple(reader.take(reader.number(2)) for _ in range(reader.number(2)))
        reader.end()
        return Peers(devices, advertised)


@dataclass(frozen=True, slots=True)
class Shares:
    """Device: shares of its secrets.

    Attributes:
        commitment: to its seed, 32 bytes.
        boxes: its shares sealed for each neighbour, by id.
    """

    commitment: bytes
    boxes: Table

    def to_bytes(self) -> bytes:
        """Return the payload."""
        return self.commitment + table(self.boxes)

    @staticmethod
    def from_bytes(payload: bytes) -> "Shares":
        """Read the payload."""
        reader = Reader(payload, "shares")
        message = Shares(reader.take(DIGEST_BYTES), reader.table(BOX_BYTES))
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class Relay:
    """Server: what the neighbours sealed for the receiver.

    Attributes:
        sharers: everyone who sent shares; nobody else is masked with.
        boxes: those of the receiver's neighbours among them, by sender.
    """

    sharers: Ids
    boxes: Table

    def to_bytes(self) -> bytes:
        """Return the payload."""
        return id_list(self.sharers) + table(self.boxes)

    @staticmethod
    def from_bytes(payload: bytes) -> "Relay":
        """Read the payload."""
        reader = Reader(payload, "relay")
        message = Relay(reader.id_list(), reader.table(BOX_BYTES))
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class Masked:
    """Device: its masked vector, which travels beside the message.

    Attributes:
        view: digest of who it was told is in the round and sent shares, 32 bytes.
        vector_digest: SHA-256 of the vector's little-endian words, 32 bytes.
    """

    view: bytes
    vector_digest: bytes

    def to_bytes(self) -> bytes:
        """Return the payload."""
        return self.view + self.vector_digest

    @staticmethod
    def from_bytes(payload: bytes) -> "Masked":
        """Read the payload."""
        reader = Reader(payload, "masked")
        message = Masked(reader.take(DIGEST_BYTES), reader.take(DIGEST_BYTES))
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class Survivors:
    """Server: whose vectors it has.

    Attributes:
        survivors: these.
        dead: those who sent shares and no vector.
        statements: vector digest and signature of the Masked message of each surviving neighbour of the receiver.
    """

    survivors: Ids
    dead: Ids
    statements: Table

    def to_bytes(self) -> bytes:
        """Return the payload."""
        return id_list(self.survivors) + id_list(self.dead) + table(self.statements)

    @staticmethod
    def from_bytes(payload: bytes) -> "Survivors":
        """Read the payload."""
        reader = Reader(payload, "survivors")
        message = Survivors(reader.id_list(), reader.id_list(), reader.table(DIGEST_BYTES + SIGNATURE_BYTES))
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class Confirm:
    """Device: the set that it will help to open.

    Attributes:
        view: as in its Masked message, 32 bytes.
        survivors_digest: SHA-256 of the list of survivors, 32 bytes.
    """

    view: bytes
    survivors_digest: bytes

    def to_bytes(self) -> bytes:
        """Return the payload."""
        return self.view + self.survivors_digest

    @staticmethod
    def from_bytes(payload: bytes) -> "Confirm":
        """Read the payload."""
        reader = Reader(payload, "confirm")
        message = Confirm(reader.take(DIGEST_BYTES), reader.take(DIGEST_BYTES))
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class Confirmations:
    """Server: who confirmed the set; the signatures of their Confirm messages, by id."""

    signatures: Table

    def to_bytes(self) -> bytes:
        """Return the payload."""
        return table(self.signatures)

    @staticmethod
    def from_bytes(payload: bytes) -> "Confirmations":
        """Read the payload."""
        reader = Reader(payload, "confirmations")
        message = Confirmations(reader.table(SIGNATURE_BYTES))
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class Unmask:
    """Device: what it holds for others, one share of each.

    Attributes:
        seeds: shares of the seeds of survivors, by id.
        keys: shares of the mask keys of the dead, by id.
    """

    seeds: Table
    keys: Table

    def to_bytes(self) -> bytes:
        """Return the payload."""
        return table(self.seeds) + table(self.keys)

    @staticmethod
    def from_bytes(payload: bytes) -> "Unmask":
        """Read the payload."""
        reader = Reader(payload, "unmask")
        message = Unmask(reader.table(SHARE_BYTES), reader.table(SHARE_BYTES))
        reader.end()
        return message
