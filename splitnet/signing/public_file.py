"""Files that anybody may see; among them the operator's public key, which devices pin."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from splitnet.errors import ConfigError, NotFoundError
from splitnet.whole_file import write_whole


def read_public_bytes(path: Path, *, most_bytes: int) -> bytes:
    """Return a file's content.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it cannot be read or is longer than `most_bytes`.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise ConfigError(f"{path}: not a file")
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except FileNotFoundError as err:
        raise NotFoundError(f"{path}: no such file") from err
    except OSError as err:
        raise ConfigError(f"{path}: cannot be read: {err.strerror}") from err
    if len(content) > most_bytes:
        raise ConfigError(f"{path}: more than {most_bytes} bytes: not the file that was expected")
    return content


def write_public_key(public: bytes, path: Path) -> None:
    """Write a raw Ed25519 public key as PEM (SubjectPublicKeyInfo, RFC 8410).

    Raises:
        OperatorError: the disk refuses.
    """
    key = Ed25519PublicKey.from_public_bytes(public)
    write_whole(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), path)


def read_public_key(path: Path) -> bytes:
    """Return the raw public key, 32 bytes, of such a file.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it holds no Ed25519 public key.
    """
    try:
        key = load_pem_public_key(read_public_bytes(path, most_bytes=4096))
    except (ValueError, UnsupportedAlgorithm) as err:
        raise ConfigError(f"{path}: not a public key in PEM: expected the operator's operator.pub") from err
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{path}: expected an Ed25519 public key: the operator's operator.pub")
    return key.public_bytes_raw()
