"""Files that outlive a leg but not the process that knows their key: no secret is on the disk in the clear."""

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from splitnet.errors import OperatorError, RefusalError
from splitnet.whole_file import write_whole

#: Bytes of a vault's key.
KEY_BYTES = 32

_NONCE_BYTES = 12  # random: 2^32 files under one key keep the chance of a repeat below 2^-32 (NIST SP 800-38D)


class Vault:
    """Named pieces of bytes, each in a file under AES-256-GCM with its name as associated data.

    Args:
        folder: for the files; made if missing, for its owner alone.
        key: 32 bytes that are nowhere on the disk.
    """

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self._cipher = AESGCM(key)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, name: str, content: bytes) -> None:
        """Write a piece in place of an earlier one.

        Raises:
            OperatorError: the disk refuses.
        """
        nonce = os.urandom(_NONCE_BYTES)
        write_whole(nonce + self._cipher.encrypt(nonce, content, name.encode()), self._path(name), mode=0o600)

    def get(self, name: str) -> bytes:
        """Return a piece.

        Raises:
            RefusalError: there is none, or it was written under another key: the process that had it has ended.
            OperatorError: the disk refuses.
        """
        try:
            sealed = self._path(name).read_bytes()
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except (FileNotFoundError, InvalidTag, ValueError):
            raise RefusalError(
                "this device was restarted, or never began this round: it takes part in the next",
                reason="no-state",
            ) from None
        except OSError as err:
            raise OperatorError(f"{self._path(name)}: cannot be read: {err.strerror}") from err

    def drop(self, name: str) -> None:
        """Remove a piece, if it is there."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.sealed"
