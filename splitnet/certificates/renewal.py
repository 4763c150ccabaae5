"""Renewing a site's authority in three steps, so that at every moment all machines trust one another.

Begin: the next certificate joins the bundle, and every machine is given the new bundle. Switch: the next key
signs, and every machine gets a certificate from it. End: the certificate before leaves the bundle.
"""

from dataclasses import replace
from pathlib import Path

from cryptography import x509

from splitnet.certificates.authority import BUNDLE, KEY, Authority, certificate_of
from splitnet.certificates.pem import certificate_bytes, read_key
from splitnet.certificates.profile import authority_certificate, new_key
from splitnet.certificates.validity import Validity
from splitnet.errors import ConfigError, InvalidArgumentError, NotFoundError, OperatorError
from splitnet.signing import private_key_bytes, write_secret
from splitnet.whole_file import sync_directory, write_whole

_NEXT_KEY = "next.key"


def begin_renewal(authority: Authority, validity: Validity, passphrase: bytes | None = None) -> Authority:
    """Make the next key, and put its certificate into the bundle beside that of the key that signs.

    Raises:
        ConfigError: a renewal is under way.
        OperatorError: the disk refuses.
    """
    path = _next_key(authority)
    if path.exists():
        raise ConfigError(f"{path}: a renewal is under way: go on with its next step")
    key = new_key()
    certificate = authority_certificate(key, authority.site, validity)
    # The bundle first: a certificate without its key does no harm, and beginning again replaces it.
    after = _with_bundle(authority, (authority.certificate, certificate))
    write_secret(private_key_bytes(key, passphrase), path)
    return after


def switch_key(authority: Authority, passphrase: bytes | None = None) -> Authority:
    """Sign with the next key from now on; the key before it is gone.

    Raises:
        InvalidArgumentError: no renewal was begun.
        ConfigError: the next key cannot be used.
        OperatorError: the disk refuses.
    """
    path = _next_key(authority)
    try:
        key, _ = read_key(path, passphrase)
    except NotFoundError as err:
        raise InvalidArgumentError(f"{authority.directory}: no renewal was begun") from err
    certificate = certificate_of(key, authority.trusted, authority.directory)
    try:
        path.replace(authority.directory / KEY)
        sync_directory(authority.directory)
    except OSError as err:
        raise OperatorError(f"{path}: cannot be renamed: {err.strerror}") from err
    return replace(authority, key=key, certificate=certificate)


def end_renewal(authority: Authority) -> Authority:
    """Trust the key that signs alone.

    Raises:
        InvalidArgumentError: the next key does not sign yet.
        OperatorError: the disk refuses.
    """
    if _next_key(authority).exists():
        raise InvalidArgumentError(f"{authority.directory}: the next key does not sign yet: switch first")
    return _with_bundle(authority, (authority.certificate,))


def _next_key(authority: Authority) -> Path:
    return authority.directory / _NEXT_KEY


def _with_bundle(authority: Authority, trusted: tuple[x509.Certificate, ...]) -> Authority:
    write_whole(certificate_bytes(*trusted), authority.directory / BUNDLE)
    return replace(authority, trusted=trusted)
