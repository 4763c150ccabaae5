"""The site's authority: the key that signs machines' certificates, and the bundle by which they are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

from splitnet.certificates.names import machine_name
from splitnet.certificates.pem import (
    certificate_bytes,
    is_signed_by,
    plain_name,
    read_certificates,
    read_key,
)
from splitnet.certificates.profile import authority_certificate, machine_certificate, new_key
from splitnet.certificates.validity import Validity
from splitnet.errors import ConfigError, NotFoundError
from splitnet.signing import make_secret_directory, private_key_bytes, write_secret
from splitnet.whole_file import write_whole

KEY = "authority.key"
BUNDLE = "authority.pem"


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority whose directory has been read.

    Attributes:
        directory: where it lies: `authority.key` and `authority.pem`; while it is being renewed, `next.key`.
        key: that signs.
        certificate: of that key.
        trusted: all that `authority.pem` holds: the one that signs, and while it is being renewed another one.
    """

    directory: Path
    key: EllipticCurvePrivateKey
    certificate: x509.Certificate
    trusted: tuple[x509.Certificate, ...]

    @classmethod
    def make(cls, directory: Path, *, site: str, validity: Validity, passphrase: bytes | None = None) -> Self:
        """Make the key and the certificate; the directory is made, for its owner alone, where there is none.

        Raises:
            InvalidArgumentError: `site` is no name.
            ConfigError: there is an authority already.
            OperatorError: the disk refuses.
        """
        machine_name(site)
        make_secret_directory(directory)
        if (directory / BUNDLE).exists():
            raise ConfigError(f"{directory / BUNDLE}: is there already; it is not replaced")
        key = new_key()
        certificate = authority_certificate(key, site, validity)
        write_secret(private_key_bytes(key, passphrase), directory / KEY)
        write_whole(certificate_bytes(certificate), directory / BUNDLE)
        return cls(directory, key, certificate, (certificate,))

    @classmethod
    def load(cls, directory: Path, passphrase: bytes | None = None) -> Self:
        """Read what `make` and the renewal wrote.

        Raises:
            NotFoundError: there is none.
            ConfigError: a file is damaged, others may read the key, or the passphrase does not fit.
        """
        try:
            key, _ = read_key(directory / KEY, passphrase)
            trusted, _ = read_certificates(directory / BUNDLE)
        except NotFoundError as err:
            raise NotFoundError(f"{err}: no authority; make one with `splitnet keys authority`") from err
        return cls(directory, key, certificate_of(key, trusted, directory), tuple(trusted))

    @property
    def site(self) -> str:
        """The site's name."""
        return plain_name(self.certificate.subject).removesuffix(" authority")

    @property
    def bundle(self) -> bytes:
        """The `authority.pem` of machines: all that are trusted and have not ended."""
        now = datetime.now(UTC)
        return certificate_bytes(*(each for each in self.trusted if each.not_valid_after_utc > now))

    def issue(
        self, public: EllipticCurvePublicKey, names: Sequence[x509.GeneralName], validity: Validity
    ) -> x509.Certificate:
        """Sign a machine's certificate, which ends with the authority's own at the latest.

        Args:
            public: the machine's key.
            names: see `alternative_names`.
            validity: when it is to hold.

        Raises:
            InvalidArgumentError: the authority's own certificate has ended.
        """
        within = validity.within(Validity.of(self.certificate))
        return machine_certificate(self.certificate, self.key, public=public, names=names, validity=within)

    def issued(self, certificate: x509.Certificate) -> bool:
        """Whether this authority, or the one before or after it, signed `certificate`."""
        return any(is_signed_by(certificate, each) for each in self.trusted)


def certificate_of(
    key: EllipticCurvePrivateKey, trusted: Sequence[x509.Certificate], directory: Path
) -> x509.Certificate:
    """Return the one of `trusted` that is of `key`.

    Raises:
        ConfigError: none is.
    """
    public = key.public_key()
    found = next((each for each in trusted if each.public_key() == public), None)
    if found is None:
        raise ConfigError(f"{directory}: none of {BUNDLE} is of the key: files of two authorities are mixed")
    return found
