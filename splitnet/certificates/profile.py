"""The two kinds of certificates of a site, as X.509 extensions (RFC 5280): its authority's, and its machines'."""

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as _generate
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from splitnet.certificates.validity import Validity

_NO_USAGE = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


def new_key() -> EllipticCurvePrivateKey:
    """Make a key on the curve P-256 from the system's random numbers."""
    return _generate(SECP256R1())


def common_name(name: str) -> x509.Name:
    """Return a subject that is a name alone."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def authority_certificate(key: EllipticCurvePrivateKey, site: str, validity: Validity) -> x509.Certificate:
    """Sign the certificate of a site's authority with its own key: it signs machines, and no further authority."""
    subject = common_name(f"{site} authority")
    usage = x509.KeyUsage(**(_NO_USAGE | {"key_cert_sign": True}))
    return (
        _begun(subject, subject, key.public_key(), validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, SHA256())
    )


def machine_certificate(
    authority: x509.Certificate,
    authority_key: EllipticCurvePrivateKey,
    *,
    public: EllipticCurvePublicKey,
    names: Sequence[x509.GeneralName],
    validity: Validity,
) -> x509.Certificate:
    """Sign a machine's certificate: it serves and calls under `names`, of which the first is its own name."""
    usage = x509.KeyUsage(**(_NO_USAGE | {"digital_signature": True}))
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    issuer_key = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        _begun(common_name(names[0].value), authority.subject, public, validity)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key), critical=False)
        .sign(authority_key, SHA256())
    )


def _begun(
    subject: x509.Name, issuer: x509.Name, public: EllipticCurvePublicKey, validity: Validity
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity.start)
        .not_valid_after(validity.end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
