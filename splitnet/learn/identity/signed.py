"""Signed documents: a JSON object whose signature covers its content's canonical form (docs/identities.md)."""

import json
from typing import Any, Literal

from pydantic import ValidationError

from splitnet.config import Frozen
from splitnet.errors import ConfigError
from splitnet.signing.keys import PublicKey, SigningKey, device_id, is_signed

#: What may be signed; the name is part of the signed bytes, so that none can be taken for another.
Kind = Literal["roster/1", "enrolment/1"]


class _Document(Frozen):
    format: str
    content: dict[str, Any]
    key: PublicKey
    signature: str


def _signed_bytes(kind: Kind, content: dict[str, Any]) -> bytes:
    """Return `splitnet/KIND`, a line end, and the content with sorted keys, no spaces, all in ASCII."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"splitnet/{kind}\n{canonical}".encode()


def sign_document(kind: Kind, content: dict[str, Any], key: SigningKey) -> bytes:
    """Return the file: `content` holds only objects, lists, strings and whole numbers."""
    document = {
        "format": f"splitnet/{kind}",
        "content": content,
        "key": key.public.hex(),
        "signature": key.sign(_signed_bytes(kind, content)).hex(),
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def open_document(kind: Kind, document: bytes, *, signer: bytes | None = None) -> tuple[dict[str, Any], bytes]:
    """Return the content and the raw public key of who signed it.

    Args:
        kind: what the document must be.
        document: the file.
        signer: the raw public key that must have signed it; None takes the key in the document.

    Raises:
        ConfigError: malformed, of another kind, signed by another key, or altered since.
    """
    what = kind.partition("/")[0]
    try:
        parsed = _Document.model_validate(json.loads(document))
        signature = bytes.fromhex(parsed.signature)
    except (ValidationError, ValueError, RecursionError) as err:
        raise ConfigError(f"{what}: not a signed document of SplitNet: damaged, or another file") from err
    if parsed.format != f"splitnet/{kind}":
        raise ConfigError(f"{what}: expected format 'splitnet/{kind}', not {parsed.format[:80]!r}")
    if signer is not None and parsed.key != signer:
        raise ConfigError(
            f"{what}: signed by {device_id(parsed.key)}, not by {device_id(signer)}, whose key is trusted here"
        )
    if not is_signed(_signed_bytes(kind, parsed.content), signature, by=parsed.key):
        raise ConfigError(
            f"{what}: the signature of {device_id(parsed.key)} does not fit: altered since it was signed"
        )
    return parsed.content, parsed.key
