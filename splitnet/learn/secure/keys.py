"""Keys of a round: X25519 pairs, what two devices derive from them, and shares sealed from one to the other."""

import hashlib
import hmac
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from splitnet.learn.secure.reasons import Reason, refusal
from splitnet.learn.secure.ring import KEY_BYTES

PUBLIC_KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16

Random = Callable[[int], bytes]


def load(private: bytes | bytearray) -> X25519PrivateKey:
    """Return the X25519 key of 32 private bytes, which OpenSSL keeps a copy of."""
    return X25519PrivateKey.from_private_bytes(bytes(private))


def public_key(private: bytes | bytearray) -> bytes:
    """Return the X25519 public key of 32 private bytes."""
    return load(private).public_key().public_bytes_raw()


def agree(private: X25519PrivateKey, public: bytes, info: bytes) -> bytes:
    """Return the 32-byte key that two devices derive from each other's X25519 keys for one purpose.

    Args:
        private: one's own key.
        public: the other's public key, 32 bytes.
        info: context and purpose (RFC 5869).

    Raises:
        RefusalError: `public` is a point of small order, which no device generates (swapped-key).
    """
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise refusal(Reason.SWAPPED_KEY, "X25519 key: a point of small order, which no device makes") from None
    return derive(shared, info)


def check_public(key: bytes) -> None:
    """Check that devices can agree with an X25519 key.

    Raises:
        RefusalError: a point of small order (swapped-key).
    """
    agree(load(bytes(range(KEY_BYTES))), key, b"check")


def derive(secret: bytes | bytearray, info: bytes) -> bytes:
    """Return 32 bytes by HKDF-SHA256 (RFC 5869) without salt."""
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=info).derive(bytes(secret))


def commitment(seed: bytes | bytearray, info: bytes) -> bytes:
    """Return what binds a device to its seed of 256 random bits and hides it: HMAC-SHA256, 32 bytes."""
    return hmac.digest(bytes(seed), info, hashlib.sha256)


def seal(key: bytes, plaintext: bytes, info: bytes, *, random: Random) -> bytes:
    """Return nonce, AES-256-GCM ciphertext and tag; `info` is authenticated with it."""
    nonce = random(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, info)


def unseal(key: bytes, box: bytes, info: bytes, *, sender: str) -> bytes:
    """Open what `seal` made; `sender` is for the error.

    Raises:
        RefusalError: it was not made with this key for this `info` (bad-ciphertext).
    """
    try:
        return AESGCM(key).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], info)
    except (InvalidTag, ValueError):
        raise refusal(
            Reason.BAD_CIPHERTEXT, f"sealed shares of {sender}: not made by it for this device and round"
        ) from None
