"""Certificates and keys of a site in PEM files: reading them with errors that name the file, and what they say."""

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from splitnet.certificates.names import texts_of
from splitnet.certificates.validity import Validity
from splitnet.config import Frozen
from splitnet.errors import ConfigError
from splitnet.signing import read_private_key, read_public_bytes

# A certificate here has 700 bytes; a bundle of old and new authorities a few of them.
_LARGEST_BYTES = 65_536


class Description(Frozen):
    """What a certificate says.

    Attributes:
        name: whose it is.
        names: all DNS names that it bears.
        addresses: all IP addresses.
        issuer: who signed it.
        authority: whether it signs others.
        start: from when it holds.
        end: until when.
        sha256: of the whole certificate, by which it is compared, hexadecimal.
    """

    name: str
    names: tuple[str, ...]
    addresses: tuple[str, ...]
    issuer: str
    authority: bool
    start: datetime
    end: datetime
    sha256: str


def describe_certificate(certificate: x509.Certificate) -> Description:
    """Return what a certificate says."""
    names, addresses = texts_of(names_in(certificate))
    validity = Validity.of(certificate)
    return Description(
        name=plain_name(certificate.subject),
        names=names,
        addresses=addresses,
        issuer=plain_name(certificate.issuer),
        authority=_is_authority(certificate),
        start=validity.start,
        end=validity.end,
        sha256=certificate.fingerprint(SHA256()).hex(),
    )


def read_certificates(path: Path) -> tuple[list[x509.Certificate], bytes]:
    """Return the certificates of a PEM file, at least one, and the file's bytes.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it cannot be read or is none.
    """
    content = read_public_bytes(path, most_bytes=_LARGEST_BYTES)
    try:
        return x509.load_pem_x509_certificates(content), content
    except ValueError as err:
        raise ConfigError(f"{path}: not a certificate in PEM; make one with `splitnet keys certificate`") from err


def read_key(path: Path, passphrase: bytes | None = None) -> tuple[EllipticCurvePrivateKey, bytes]:
    """Return the private key of a file that its owner alone may read, and the file's bytes.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: others may read it, it is no P-256 key in PEM, or the passphrase does not fit.
    """
    key, content = read_private_key(path, passphrase)
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ConfigError(f"{path}: expected a key on the curve P-256, as `splitnet keys` makes it")
    return key, content


def certificate_bytes(*certificates: x509.Certificate) -> bytes:
    """Return certificates as one PEM file."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def p256_public(
    certificate: x509.Certificate | x509.CertificateSigningRequest, path: Path
) -> EllipticCurvePublicKey:
    """Return the public key of what was read from `path`.

    Raises:
        ConfigError: it is of another kind.
    """
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        key = None  # a kind that is not even known here
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise ConfigError(f"{path}: expected a key on the curve P-256, as `splitnet keys` makes it")
    return key


def names_in(certificate: x509.Certificate) -> list[x509.GeneralName]:
    """Return the alternative names that a certificate bears; none where it has none or they are malformed."""
    try:
        return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except (x509.ExtensionNotFound, ValueError):
        return []


def plain_name(subject: x509.Name) -> str:
    """Return the common name, or where there is none the whole name."""
    found = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if found else subject.rfc4514_string()


def is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether `authority` is one, and its key signed `certificate`."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return _is_authority(authority)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False
