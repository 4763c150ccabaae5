"""The operator's directory: the key that signs rosters, and its public half for the devices."""

from pathlib import Path

from splitnet.errors import NotFoundError
from splitnet.signing.keys import OperatorKey
from splitnet.signing.public_file import read_public_key, write_public_key
from splitnet.signing.secret_file import make_secret_directory

_PRIVATE = "operator.key"
_PUBLIC = "operator.pub"


def make_operator(directory: Path, passphrase: bytes | None = None) -> OperatorKey:
    """Make the key and both its files; the directory is made, for its owner alone, where there is none.

    Raises:
        ConfigError: there is a key already.
        OperatorError: the disk refuses.
    """
    make_secret_directory(directory)
    key = OperatorKey.generate()
    key.save(directory / _PRIVATE, passphrase)
    write_public_key(key.public, directory / _PUBLIC)
    return key


def load_operator(directory: Path, passphrase: bytes | None = None) -> OperatorKey:
    """Return the key that `make_operator` wrote.

    Raises:
        NotFoundError: there is none.
        ConfigError: see `OperatorKey.load`.
    """
    try:
        return OperatorKey.load(directory / _PRIVATE, passphrase)
    except NotFoundError as err:
        raise NotFoundError(f"{directory}: no operator's key; make one with `splitnet keys operator`") from err


def operator_public(path: Path) -> bytes:
    """Return the raw public key of an operator.pub, or of the directory that has one.

    Raises:
        NotFoundError: there is none.
        ConfigError: it is not an Ed25519 public key.
    """
    return read_public_key(path / _PUBLIC if path.is_dir() else path)
