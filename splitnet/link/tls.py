"""Mutual TLS on links: what gRPC needs of a machine's certificate, and why a link with it cannot be made."""

import socket
import ssl
from typing import Any

import grpc
from cryptography import x509

from splitnet.certificates import (
    BUNDLE,
    CERTIFICATE,
    PRIVATE_KEY,
    Machine,
    Validity,
    day,
    describe_certificate,
    read_machine,
)
from splitnet.config import TlsConfig
from splitnet.errors import ConfigError
from splitnet.link.client.channel import Target
from splitnet.link.watched_machine import WatchedMachine

# OpenSSL's numbers for what is wrong with a certificate (x509_vfy.h).
_OTHER_TIME, _OTHER_NAME, _OTHER_AUTHORITY = (9, 10), (62, 64), (2, 7, 18, 19, 20, 21)
# A stranger's certificate may hold any text.
_MOST_SHOWN = 200
# How a client of HTTP/2 begins (RFC 9113, section 3.4): the peer's answer shows that it took our certificate.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


def server_credentials(tls: TlsConfig) -> grpc.ServerCredentials:
    """Return what a server listens with: it shows this machine's certificate and asks every client for one.

    The files are looked at for every new connection; open connections keep what they began with.

    Raises:
        ConfigError: a file is missing, damaged or open to others, the files do not belong together, or the
            certificate does not hold now.
    """
    watched = WatchedMachine(tls.directory)
    changed: Any = watched.changed  # gRPC's stubs leave out that None is allowed, and means no change
    return grpc.dynamic_ssl_server_credentials(
        watched.configuration(), changed, require_client_authentication=True
    )


def client_credentials(tls: TlsConfig) -> grpc.ChannelCredentials:
    """Return what a connection is made with, freshly read: a renewed certificate is for channels made after.

    Raises:
        ConfigError: see `server_credentials`.
    """
    machine = read_machine(tls.directory)
    return grpc.ssl_channel_credentials(machine.authority_pem, machine.key_pem, machine.certificate_pem)


def check_files(tls: TlsConfig) -> None:
    """Look whether there is a certificate with its key; one that has ended may be renewed while a program runs.

    Raises:
        ConfigError: see `server_credentials`.
    """
    read_machine(tls.directory, may_have_ended=True)


def diagnose(tls: TlsConfig | None, target: Target, *, timeout_s: float = 1.0) -> str | None:
    """Say why a link cannot be made, by a handshake of its own; None where TLS is not why.

    gRPC says of a failed handshake little that helps. Call this once when a link is lost, on a thread that may
    wait.

    Args:
        tls: this machine's certificate; None where the link is in plaintext.
        target: of the link.
        timeout_s: how long each of at most two connections may take.
    """
    if tls is not None:
        return _what_fails(tls, target, timeout_s)
    how = f"{target} speaks TLS; give this machine's certificate: --tls DIR"
    return how if _speaks_tls(target, timeout_s) else None


def _what_fails(tls: TlsConfig, target: Target, timeout_s: float) -> str | None:
    try:
        machine = read_machine(tls.directory)
        context = _context(tls, machine)
    except ConfigError as err:
        return str(err)
    try:
        answered = _answers(target, context, timeout_s)
    except ssl.SSLCertVerificationError as err:
        return _what_is_wrong(target, tls, err, timeout_s)
    except ssl.SSLEOFError:
        return None  # somebody between here and there hung up
    except ssl.SSLError as err:
        reason = "serves plaintext" if err.reason == "WRONG_VERSION_NUMBER" else err.reason
        return f"{target} does not speak TLS as expected: {reason}"
    except OSError:
        return None
    return None if answered else _refused(target, machine)


def _context(tls: TlsConfig, machine: Machine) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    context.load_verify_locations(cadata=machine.authority_pem.decode("ascii", errors="ignore"))
    try:
        context.load_cert_chain(tls.directory / CERTIFICATE, tls.directory / PRIVATE_KEY)
    except (OSError, ssl.SSLError) as err:  # replaced since `machine` was read
        raise ConfigError(f"{tls.directory}: key and certificate cannot be read together: {err}") from err
    return context


def _answers(target: Target, context: ssl.SSLContext, timeout_s: float) -> bool:
    """Shake hands and begin HTTP/2; return whether the peer, which checks our certificate only then, goes on.

    Raises:
        ssl.SSLError: the handshake fails; SSLCertVerificationError where the peer's certificate is why.
        OSError: the peer cannot be reached, or takes too long.
    """
    with (
        socket.create_connection(target.address, timeout=timeout_s) as plain,
        context.wrap_socket(plain, server_hostname=_expected(target)) as secure,
    ):
        try:
            secure.sendall(_PREFACE)
            return bool(secure.recv(1))
        except (ssl.SSLError, ConnectionError):
            return False


def _what_is_wrong(target: Target, tls: TlsConfig, error: ssl.SSLCertVerificationError, timeout_s: float) -> str:
    """Say what is wrong with the peer's certificate, which is fetched once more, unchecked, to read it."""
    who = f"the certificate of {target}"
    try:
        certificate = _fetched(target, timeout_s)
        seen, wrong = describe_certificate(certificate), Validity.of(certificate).wrong()
    except (OSError, ValueError):
        return f"{who} cannot be verified: {error.verify_message}"
    if error.verify_code in _OTHER_TIME and wrong is not None:
        return f"{who} {wrong}"
    if error.verify_code in _OTHER_NAME:
        bears = ", ".join(seen.names + seen.addresses)[:_MOST_SHOWN] or "none"
        how = "--tls-server-name, or `upstream_name`, says which is expected"
        return f"{who} bears the names {bears}, not {_expected(target)}; {how}"
    if error.verify_code in _OTHER_AUTHORITY:
        return f"{who} is signed by {seen.issuer[:_MOST_SHOWN]!r}, by no authority in {tls.directory / BUNDLE}"
    return f"{who} cannot be verified: {error.verify_message}"


def _speaks_tls(target: Target, timeout_s: float) -> bool:
    try:
        _fetched(target, timeout_s)
    except ssl.SSLError as err:
        return "ALERT" in str(err.reason)  # which only TLS has: it wants our certificate
    except (OSError, ValueError):
        return False
    return True


def _fetched(target: Target, timeout_s: float) -> x509.Certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(target.address, timeout=timeout_s) as plain,
        context.wrap_socket(plain, server_hostname=_expected(target)) as secure,
    ):
        return x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")


def _expected(target: Target) -> str:
    return target.name or target.address[0]


def _refused(target: Target, machine: Machine) -> str:
    return (
        f"{target} refused the certificate of this machine ({machine.name}, until "
        f"{day(machine.validity.end)}): it trusts another authority, its clock is wrong, or the certificate "
        "is not for clients; its log says which"
    )
