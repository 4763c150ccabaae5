"""A machine's directory as it is read: its certificate, its private key, and the authority that it trusts."""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from splitnet.certificates.authority import BUNDLE
from splitnet.certificates.pem import (
    is_signed_by,
    plain_name,
    read_certificates,
    read_key,
)
from splitnet.certificates.validity import Validity
from splitnet.errors import ConfigError, NotFoundError

CERTIFICATE = "certificate.pem"
PRIVATE_KEY = "private.key"
#: What TLS reads.
FILES = (BUNDLE, CERTIFICATE, PRIVATE_KEY)


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine's directory whose files have been read and fit together.

    Attributes:
        certificate: the machine's.
        authority_pem: the bundle of authorities that it trusts, as the file has it.
        certificate_pem: likewise.
        key_pem: likewise; a secret.
    """

    certificate: x509.Certificate
    authority_pem: bytes
    certificate_pem: bytes
    key_pem: bytes

    @property
    def name(self) -> str:
        """The machine's name."""
        return plain_name(self.certificate.subject)

    @property
    def validity(self) -> Validity:
        """When its certificate holds."""
        return Validity.of(self.certificate)


def read_machine(directory: Path, *, may_have_ended: bool = False) -> Machine:
    """Read a directory as `splitnet keys certificate` writes it.

    Args:
        directory: of the files.
        may_have_ended: take a certificate that does not hold now too.

    Raises:
        ConfigError: a file is missing, damaged or open to others; key, certificate and authority do not belong
            together; or the certificate does not hold now.
    """
    try:
        key, key_pem = read_key(directory / PRIVATE_KEY)
        (certificate, *_), certificate_pem = read_certificates(directory / CERTIFICATE)
        trusted, authority_pem = read_certificates(directory / BUNDLE)
    except NotFoundError as err:
        raise ConfigError(f"{err}; `splitnet keys certificate` makes {', '.join(FILES)}") from err
    if certificate.public_key() != key.public_key():
        raise ConfigError(f"{directory}: {PRIVATE_KEY} is not the key of {CERTIFICATE}; make both anew")
    if not any(is_signed_by(certificate, each) for each in trusted):
        raise ConfigError(f"{directory}: {CERTIFICATE} is not signed by any authority in {BUNDLE}")
    if not may_have_ended and (wrong := Validity.of(certificate).wrong()):
        raise ConfigError(f"{directory / CERTIFICATE}: {wrong}; `splitnet keys renew` makes it anew")
    return Machine(certificate, authority_pem, certificate_pem, key_pem)
