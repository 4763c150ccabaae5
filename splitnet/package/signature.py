"""The operator's signature of a package: over its manifest, which holds every file's digest."""

import json
from pathlib import Path

from pydantic import ValidationError

from splitnet.config import Frozen
from splitnet.errors import ConfigError, NotFoundError, PackageError
from splitnet.package.entries import SIGNATURE
from splitnet.signing import PublicKey, SigningKey, device_id, is_signed, operator_public, read_public_bytes

_FORMAT = "splitnet/package/1"
_LARGEST_BYTES = 4096


class _Signature(Frozen):
    format: str
    key: PublicKey
    signature: str


def signature_of(manifest: bytes, key: SigningKey) -> bytes:
    """Return the `signature.json` of a package.

    Args:
        manifest: its manifest.json, byte for byte.
        key: the operator's.
    """
    document = {"format": _FORMAT, "key": key.public.hex(), "signature": key.sign(_signed(manifest)).hex()}
    return (json.dumps(document, indent=1) + "\n").encode()


def check_signature(package: Path, manifest: bytes, key: Path) -> None:
    """Refuse a package that the owner of `key` did not sign as it is.

    Args:
        package: its directory.
        manifest: what was read of its manifest.json: the very bytes that are believed afterwards.
        key: the operator's public key, as `splitnet keys operator` writes it.

    Raises:
        PackageError: it is unsigned, signed by another key, or altered since.
        ConfigError: there is no such key, or it is none.
    """
    try:
        public = operator_public(key)
    except NotFoundError as err:
        raise ConfigError(f"{err}: packages must be signed with the key that it should hold") from err
    path = package / SIGNATURE
    try:
        document = read_public_bytes(path, most_bytes=_LARGEST_BYTES)
    except NotFoundError as err:
        raise PackageError(
            f"{package}: not signed, and {key} says who must have: run `splitnet keys sign`"
        ) from err
    except ConfigError as err:
        raise PackageError(str(err)) from err
    try:
        found = _Signature.model_validate(json.loads(document))
        signature = bytes.fromhex(found.signature)
    except (ValidationError, ValueError, RecursionError) as err:
        raise PackageError(f"{path}: not a signature of SplitNet: damaged, or another file") from err
    if found.format != _FORMAT:
        raise PackageError(f"{path}: expected format {_FORMAT!r}, not {found.format[:80]!r}")
    if found.key != public:
        raise PackageError(f"{package}: signed by {device_id(found.key)}, not by {device_id(public)} of {key}")
    if not is_signed(_signed(manifest), signature, by=public):
        raise PackageError(
            f"{package}: the signature of {device_id(public)} does not fit: altered since it was signed"
        )


def _signed(manifest: bytes) -> bytes:
    """Return what is signed: which kind of thing it is, so that none is taken for another, and the manifest."""
    return f"{_FORMAT}\n".encode() + manifest
