"""Ed25519 keys of devices and of the operator, and the id that follows from a public key."""

import hashlib
from pathlib import Path
from typing import Annotated, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BeforeValidator, Field, PlainSerializer

from splitnet.signing.secret_file import load_private_key, save_private_key

_PUBLIC_BYTES = 32
_ID_CHARACTERS = 16
_WRITTEN = f"{2 * _PUBLIC_BYTES} lower-case hexadecimal digits"


def _raw_key(value: object) -> object:
    """Read what a file holds: 64 lower-case hexadecimal digits, which write each key in one way only."""
    if not isinstance(value, str):
        return value
    if len(value) != 2 * _PUBLIC_BYTES or set(value) - set("0123456789abcdef"):
        raise ValueError(f"expected {_WRITTEN}")
    return bytes.fromhex(value)


#: A raw Ed25519 public key, 32 bytes; in files lower-case hexadecimal.
PublicKey = Annotated[
    bytes,
    BeforeValidator(_raw_key),
    Field(min_length=_PUBLIC_BYTES, max_length=_PUBLIC_BYTES, description=_WRITTEN),
    PlainSerializer(bytes.hex, when_used="json"),
]


def device_id(public: bytes) -> str:
    """Return the first 16 hexadecimal digits of SHA-256 of a raw public key."""
    return hashlib.sha256(public).hexdigest()[:_ID_CHARACTERS]


def is_signed(message: bytes, signature: bytes, *, by: bytes) -> bool:
    """Say whether `signature` (64 bytes) over `message` was made with the key whose raw public part is `by`."""
    try:
        Ed25519PublicKey.from_public_bytes(by).verify(signature, message)
    except (InvalidSignature, ValueError):  # ValueError: `by` is no 32 bytes
        return False
    return True


class SigningKey:
    """An Ed25519 private key (RFC 8032); it leaves the process only through `save`."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @classmethod
    def generate(cls) -> Self:
        """Make a key from the system's random numbers."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path, passphrase: bytes | None = None) -> Self:
        """Read a key.

        Raises:
            NotFoundError: there is no such file.
            ConfigError: others may read it, it is damaged or of another kind, or the passphrase does not fit.
        """
        return cls(load_private_key(path, passphrase))

    def save(self, path: Path, passphrase: bytes | None = None) -> None:
        """Write the key as PEM (PKCS #8), readable by its owner alone; a file that is there is never replaced.

        Raises:
            ConfigError: there is a file.
            OperatorError: the disk refuses; nothing is left.
        """
        save_private_key(self._private, path, passphrase)

    @property
    def public(self) -> bytes:
        """The raw public key, 32 bytes."""
        return self._private.public_key().public_bytes_raw()

    @property
    def id(self) -> str:
        """What the key's owner is called: see `device_id`."""
        return device_id(self.public)

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message`, 64 bytes."""
        return self._private.sign(message)


class DeviceKey(SigningKey):
    """A device's own key, made on the device and never copied from it."""


class OperatorKey(SigningKey):
    """The key that signs rosters; whoever has it decides who belongs to the fleet."""
