"""The signed frame of every message: which sum, what kind, from whom; checked before anything is read further."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from splitnet.learn.secure.context import DOMAIN, RoundContext
from splitnet.learn.secure.reasons import Reason, refusal
from splitnet.learn.secure.wire import ID_BYTES, Reader, id_bytes, number

MAGIC = b"SNSS"
VERSION = 1
SIGNATURE_BYTES = 64

#: Stands where a sender's id does in what the server sends, which nobody signs: it is not trusted.
SERVER = "00" * ID_BYTES

Sign = Callable[[bytes], bytes]


class Kind(IntEnum):
    """What a message is; from 16 on, the server's."""

    ADVERTISE = 1
    SHARES = 2
    MASKED = 3
    CONFIRM = 4
    UNMASK = 5
    PEERS = 16
    RELAY = 17
    SURVIVORS = 18
    CONFIRMATIONS = 19


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message.

    Attributes:
        context: which sum it belongs to.
        kind: how `payload` is to be read.
        sender: device id, or `SERVER`.
        payload: what it says.
        signature: Ed25519 over `signed`, 64 bytes; empty from the server.
    """

    context: RoundContext
    kind: Kind
    sender: str
    payload: bytes
    signature: bytes = b""

    @property
    def signed(self) -> bytes:
        """The bytes that the sender signs."""
        head = MAGIC + number(VERSION, 1) + number(self.kind, 1) + self.context.to_bytes()
        return DOMAIN + head + id_bytes(self.sender) + self.payload

    def to_bytes(self) -> bytes:
        """Return the message: what is signed without its domain, then the signature."""
        return self.signed[len(DOMAIN) :] + self.signature

    @staticmethod
    def from_bytes(data: bytes) -> "Envelope":
        """Read a message that anyone may have written.

        Raises:
            RefusalError: it is none of this version (malformed).
        """
        reader = Reader(data, "message of a secure sum")
        if reader.take(len(MAGIC)) != MAGIC:
            raise reader.malformed(f"expected {MAGIC!r}")
        version, kind = reader.number(1), reader.number(1)
        if version != VERSION:
            raise reader.malformed(f"version {version} where {VERSION} is spoken")
        if kind not in set(Kind):
            raise reader.malformed(f"unknown kind {kind}")
        context = RoundContext.read(reader)
        sender = reader.take(ID_BYTES).hex()
        rest = reader.rest()
        if sender == SERVER:
            return Envelope(context, Kind(kind), sender, rest)
        if len(rest) < SIGNATURE_BYTES:
            raise reader.malformed("expected a signature of 64 bytes")
        return Envelope(context, Kind(kind), sender, rest[:-SIGNATURE_BYTES], rest[-SIGNATURE_BYTES:])

    def expect(self, context: RoundContext, kind: Kind) -> None:
        """Check that the message is of this sum and kind.

        Raises:
            RefusalError: of another round, model, configuration or leg.
        """
        context.check(self.context, f"message of {self.sender}")
        if self.kind is not kind:
            raise refusal(
                Reason.WRONG_LEG, f"message of {self.sender}: {self.kind.name} where {kind.name} is expected"
            )

    def verify(self, pinned: Mapping[str, bytes]) -> None:
        """Check the signature against the pinned key of the sender.

        Raises:
            RefusalError: no key is pinned for the sender (unpinned), or it did not sign this (bad-signature).
        """
        key = pinned.get(self.sender)
        if key is None:
            raise refusal(
                Reason.UNPINNED, f"device {self.sender}: it is not in the roster; the operator must enrol it"
            )
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(self.signature, self.signed)
        except (InvalidSignature, ValueError):
            raise refusal(
                Reason.BAD_SIGNATURE, f"{self.kind.name} of {self.sender}: not signed by its pinned key"
            ) from None


def signed_message(context: RoundContext, kind: Kind, sender: str, payload: bytes, *, sign: Sign) -> Envelope:
    """Return a device's message, signed."""
    bare = Envelope(context, kind, sender, payload)
    return Envelope(context, kind, sender, payload, sign(bare.signed))


def server_message(context: RoundContext, kind: Kind, payload: bytes) -> bytes:
    """Return a message of the server."""
    return Envelope(context, kind, SERVER, payload).to_bytes()


def from_server(data: bytes, context: RoundContext, kind: Kind) -> bytes:
    """Return the payload of the server's message of this sum and kind.

    Raises:
        RefusalError: it is malformed or of another round, model, configuration or leg.
    """
    envelope = Envelope.from_bytes(data)
    envelope.expect(context, kind)
    if envelope.sender != SERVER:
        raise refusal(Reason.MALFORMED, f"{kind.name}: from device {envelope.sender}, expected from the server")
    return envelope.payload
