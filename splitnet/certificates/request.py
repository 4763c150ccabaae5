"""Asking for a certificate from a machine, so that its private key never leaves it (PKCS #10, RFC 2986)."""

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from splitnet.certificates.machine import PRIVATE_KEY
from splitnet.certificates.names import machine_name
from splitnet.certificates.pem import p256_public, plain_name, read_key
from splitnet.certificates.profile import common_name, new_key
from splitnet.errors import ConfigError
from splitnet.signing import make_secret_directory, private_key_bytes, read_public_bytes, write_secret
from splitnet.whole_file import write_whole

REQUEST = "request.pem"
# A request for a P-256 key has 400 bytes.
_LARGEST_BYTES = 16_384


def make_request(directory: Path, name: str) -> Path:
    """Write `request.pem` for the private key in `directory`, which is made where there is none.

    Raises:
        InvalidArgumentError: `name` is none.
        ConfigError: the key that is there cannot be used.
        OperatorError: the disk refuses.
    """
    subject = common_name(machine_name(name))
    make_secret_directory(directory)
    path = directory / PRIVATE_KEY
    if path.exists():
        key, _ = read_key(path)
    else:
        key = new_key()
        write_secret(private_key_bytes(key, None), path)
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
    write_whole(request.public_bytes(Encoding.PEM), directory / REQUEST)
    return directory / REQUEST


def read_request(path: Path, *, name: str) -> EllipticCurvePublicKey:
    """Return the key of a request that was made for `name`; whoever made it has the private key.

    Nothing else of a request counts: what a machine is called is up to who signs.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it is no request of that name, or not signed by its own key.
    """
    content = read_public_bytes(path, most_bytes=_LARGEST_BYTES)
    try:
        request = x509.load_pem_x509_csr(content)
        signed = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as err:
        raise ConfigError(f"{path}: not a request; make one with `splitnet keys request`") from err
    public = p256_public(request, path)
    if not signed:
        raise ConfigError(f"{path}: not signed by its own key: damaged, or another's key")
    if (found := plain_name(request.subject)) != name:
        raise ConfigError(f"{path}: a request of {found[:80]!r}, not of {name!r}")
    return public
