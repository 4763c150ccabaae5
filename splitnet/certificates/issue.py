"""Giving machines their certificates: a directory whole, a certificate for a key made elsewhere, a renewal."""

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from splitnet.certificates.authority import BUNDLE, Authority
from splitnet.certificates.machine import CERTIFICATE, PRIVATE_KEY
from splitnet.certificates.pem import (
    certificate_bytes,
    names_in,
    p256_public,
    read_certificates,
)
from splitnet.certificates.profile import new_key
from splitnet.certificates.validity import Validity
from splitnet.errors import ConfigError, NotFoundError
from splitnet.signing import make_secret_directory, private_key_bytes
from splitnet.whole_file import write_whole


def make_machine(
    directory: Path, authority: Authority, *, names: Sequence[x509.GeneralName], validity: Validity
) -> x509.Certificate:
    """Make a machine's key and certificate in a directory that has neither; it is made where there is none.

    Args:
        directory: the machine's; also the bundle of authorities goes there.
        authority: who signs.
        names: see `alternative_names`.
        validity: when the certificate is to hold.

    Raises:
        InvalidArgumentError: the authority's own certificate has ended.
        ConfigError: there is a key or certificate already.
        OperatorError: the disk refuses.
    """
    _refuse(directory / PRIVATE_KEY, directory / CERTIFICATE)
    return _with_new_key(directory, authority, names, validity)


def certify(
    directory: Path,
    authority: Authority,
    *,
    public: EllipticCurvePublicKey,
    names: Sequence[x509.GeneralName],
    validity: Validity,
) -> x509.Certificate:
    """Make a certificate for a key that stays where it was made; see `make_machine`."""
    _refuse(directory / CERTIFICATE)
    return _written(directory, authority.issue(public, names, validity), authority)


def renew(directory: Path, authority: Authority, validity: Validity) -> x509.Certificate:
    """Make a certificate for the names of the one that is there.

    It is for a new key where the directory has the private key, else for the same one.

    Raises:
        InvalidArgumentError: the authority's own certificate has ended.
        ConfigError: there is no certificate, or not of this authority.
        OperatorError: the disk refuses.
    """
    path = directory / CERTIFICATE
    try:
        (certificate, *_), _ = read_certificates(path)
    except NotFoundError as err:
        raise ConfigError(f"{err}; `splitnet keys certificate` makes the first one") from err
    if not authority.issued(certificate):
        raise ConfigError(f"{path}: not signed by the authority in {authority.directory}")
    names = names_in(certificate)
    if (directory / PRIVATE_KEY).exists():
        return _with_new_key(directory, authority, names, validity)
    return _written(directory, authority.issue(p256_public(certificate, path), names, validity), authority)


def _refuse(*paths: Path) -> None:
    for path in paths:
        if path.exists():
            raise ConfigError(f"{path}: is there already; `splitnet keys renew` replaces it")


def _with_new_key(
    directory: Path, authority: Authority, names: Sequence[x509.GeneralName], validity: Validity
) -> x509.Certificate:
    key = new_key()
    certificate = authority.issue(key.public_key(), names, validity)
    make_secret_directory(directory)
    # Who reads between these two sees a pair that does not fit, keeps what it has and looks again.
    write_whole(private_key_bytes(key, None), directory / PRIVATE_KEY, mode=0o600)
    return _written(directory, certificate, authority)


def _written(directory: Path, certificate: x509.Certificate, authority: Authority) -> x509.Certificate:
    make_secret_directory(directory)
    write_whole(certificate_bytes(certificate), directory / CERTIFICATE)
    write_whole(authority.bundle, directory / BUNDLE)
    return certificate
