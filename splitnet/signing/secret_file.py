"""Private keys and their passphrases in files: readable by their owner alone, and whole or not there."""

import os
import stat
import tempfile
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from splitnet.errors import ConfigError, NotFoundError, OperatorError
from splitnet.whole_file import sync_directory

# A key's PEM has 119 bytes, an encrypted one 290; a passphrase is shorter still.
_LARGEST_BYTES = 4096


def make_secret_directory(path: Path) -> None:
    """Make a directory, for its owner alone, where there is none.

    Raises:
        OperatorError: the disk refuses.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as err:
        raise OperatorError(f"{path}: cannot be made: {err.strerror}") from err


def read_secret(path: Path) -> bytes:
    """Read a file that its owner alone may read.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it cannot be read, is longer than a secret, or others may read or write it.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(_LARGEST_BYTES + 1)
    except FileNotFoundError as err:
        raise NotFoundError(f"{path}: no such file") from err
    except OSError as err:
        raise ConfigError(f"{path}: cannot be read: {err.strerror}") from err
    if mode & 0o077:
        raise ConfigError(f"{path}: others may use it (mode {mode:04o}): it is a secret, run `chmod 600 {path}`")
    if len(content) > _LARGEST_BYTES:
        raise ConfigError(f"{path}: more than {_LARGEST_BYTES} bytes: not a key or passphrase")
    return content


def read_passphrase(path: Path | None) -> bytes | None:
    """Return the file's content without line ends at its end; None for None.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: others may read it, or it is empty or too long.
    """
    if path is None:
        return None
    passphrase = read_secret(path).rstrip(b"\r\n")
    if not passphrase:
        raise ConfigError(f"{path}: empty: expected a passphrase")
    return passphrase


def read_private_key(path: Path, passphrase: bytes | None) -> tuple[PrivateKeyTypes, bytes]:
    """Return a private key of any kind, and the bytes of its PEM file.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: others may read it, it is damaged, or the passphrase does not fit.
    """
    content = read_secret(path)
    try:
        key = load_pem_private_key(content, passphrase)
    except TypeError as err:
        asked = (
            "is encrypted: give its passphrase" if passphrase is None else "is not encrypted: give no passphrase"
        )
        raise ConfigError(f"{path}: the key {asked} file") from err
    except (ValueError, UnsupportedAlgorithm) as err:
        raise ConfigError(f"{path}: damaged, not a private key in PEM, or the passphrase is another") from err
    return key, content


def private_key_bytes(key: PrivateKeyTypes, passphrase: bytes | None) -> bytes:
    """Return a private key as PEM (PKCS #8), encrypted where there is a passphrase."""
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def load_private_key(path: Path, passphrase: bytes | None) -> Ed25519PrivateKey:
    """Read an Ed25519 key; see `SigningKey.load`."""
    key, _ = read_private_key(path, passphrase)
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: expected an Ed25519 key; make one with `splitnet keys`")
    return key


def save_private_key(key: Ed25519PrivateKey, path: Path, passphrase: bytes | None) -> None:
    """Write a private key to a new file; see `SigningKey.save`."""
    write_secret(private_key_bytes(key, passphrase), path)


def write_secret(content: bytes, path: Path) -> None:
    """Write a new file that its owner alone may read; one that is there is never replaced.

    Raises:
        ConfigError: there is a file.
        OperatorError: the disk refuses; nothing is left.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600, O_EXCL
    except OSError as err:
        raise OperatorError(f"{path}: cannot be written: {err.strerror}") from err
    beside = Path(name)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 -- a descriptor has no path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(beside)  # unlike a rename, this never replaces a key
        sync_directory(path.parent)
    except FileExistsError as err:
        raise ConfigError(f"{path}: there is a key already; it is not replaced") from err
    except OSError as err:
        raise OperatorError(f"{path}: cannot be written: {err.strerror}") from err
    finally:
        beside.unlink(missing_ok=True)
