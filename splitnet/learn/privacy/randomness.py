"""Random words that nobody can predict: the key stream of ChaCha20 under a key of the system's random numbers."""

import os

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

_KEY_BYTES = 32


class RandomWords:
    """A stream of uniform 64-bit words (RFC 8439; block counter and nonce from 0, since each key has one stream).

    Args:
        key: 32 bytes, for streams that can be repeated, as tests need; None, the rule, takes 256 bits from the
            system.
    """

    def __init__(self, key: bytes | None = None) -> None:
        key = os.urandom(_KEY_BYTES) if key is None else key
        self._stream = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor()

    def draw(self, count: int) -> NDArray[np.uint64]:
        """Return the next words, uint64 `[count]`."""
        return np.frombuffer(self._stream.update(bytes(8 * count)), "<u8").astype(np.uint64, copy=False)

    def below(self, bound: int, count: int) -> NDArray[np.int64]:
        """Return uniform integers from 0 to `bound` - 1, int64 `[count]`, by rejection and so without bias.

        Args:
            bound: 1 to 2^62.
            count: how many.
        """
        mask = np.uint64((1 << (bound - 1).bit_length()) - 1)
        found = np.empty(count, np.int64)
        missing = count
        while missing:
            words = (self.draw(missing) & mask).view(np.int64)
            words = words[words < bound]
            found[count - missing : count - missing + len(words)] = words
            missing -= len(words)
        return found
