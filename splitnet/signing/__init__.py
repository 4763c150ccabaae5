"""Ed25519 keys, their files, and the operator's key: who signs rosters and packages."""

from splitnet.signing.keys import DeviceKey, OperatorKey, PublicKey, SigningKey, device_id, is_signed
from splitnet.signing.operator_keys import load_operator, make_operator, operator_public
from splitnet.signing.public_file import read_public_bytes, read_public_key, write_public_key
from splitnet.signing.secret_file import (
    make_secret_directory,
    private_key_bytes,
    read_passphrase,
    read_private_key,
    read_secret,
    write_secret,
)

__all__ = [
    "DeviceKey",
    "OperatorKey",
    "PublicKey",
    "SigningKey",
    "device_id",
    "is_signed",
    "load_operator",
    "make_operator",
    "make_secret_directory",
    "operator_public",
    "private_key_bytes",
    "read_passphrase",
    "read_private_key",
    "read_public_bytes",
    "read_public_key",
    "read_secret",
    "write_public_key",
    "write_secret",
]
