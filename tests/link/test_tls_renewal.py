"""Renewing certificates and authorities while a stream stays open; and what is said of one that ends."""

import logging
import socket
import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from splitnet.certificates import Authority, begin_renewal, end_renewal, renew, switch_key
from splitnet.config import TlsConfig
from splitnet.link.tls import client_credentials, server_credentials
from tests.certificates.site import MONTH, machine, span
from tests.link.tls_peers import TIMEOUT_S, Stream, channel, listening, names

WHEN = span(timedelta(hours=-1), MONTH)


def test_a_renewal_drops_no_stream_and_is_taken_by_who_connects_next(
    hall: Authority, cloud: TlsConfig, cam: TlsConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with listening(server_credentials(cloud)) as port, channel(port, client_credentials(cam)) as link:
        stream = Stream(link)
        assert stream.ask(b"before") == b"before"
        first = _serial(port, cam)
        renew(cloud.directory, hall, WHEN)
        second = _serial(port, cam)
        assert first != second
        assert stream.ask(b"after") == b"after"
        assert "certificate of cloud read anew: it ends on" in caplog.text

        # Half of a renewal, as it is between two files, or for ever after a bad copy: the one before stays.
        (cloud.directory / "private.key").write_bytes((cam.directory / "private.key").read_bytes())
        assert [_serial(port, cam), _serial(port, cam)] == [second, second]
        assert caplog.text.count("is not the key of certificate.pem") == 1
        renew(cloud.directory, hall, WHEN)
        assert _serial(port, cam) not in (first, second)
        assert stream.ask(b"at last") == b"at last"
        stream.end()


def test_an_authority_is_renewed_while_a_stream_stays_open(
    hall: Authority, cloud: TlsConfig, cam: TlsConfig
) -> None:
    with listening(server_credentials(cloud)) as port, channel(port, client_credentials(cam)) as link:
        stream = Stream(link)
        begun = begin_renewal(hall, span(timedelta(hours=-1), 24 * MONTH))
        for tls in (cloud, cam):
            (tls.directory / "authority.pem").write_bytes(begun.bundle)
            assert names(port, cam) == ["cam-1", "cam-1.hall"]
        switched = switch_key(begun)
        for tls in (cam, cloud):  # machines of the old and of the new key, in any order
            renew(tls.directory, switched, WHEN)
            assert names(port, cam) == ["cam-1", "cam-1.hall"]
        done = end_renewal(switched)
        for tls in (cloud, cam):
            (tls.directory / "authority.pem").write_bytes(done.bundle)
            assert names(port, cam) == ["cam-1", "cam-1.hall"]
        assert stream.ask(b"still") == b"still"
        stream.end()


def test_the_end_of_a_certificate_is_announced_and_told_once(
    tmp_path: Path, hall: Authority, cam: TlsConfig, caplog: pytest.LogCaptureFixture
) -> None:
    soon = machine(tmp_path, hall, "cloud", validity=span(-MONTH, timedelta(days=1)))
    with listening(server_credentials(soon)) as port:
        for _ in range(3):
            names(port, cam)
    assert caplog.text.count("certificate of cloud ends on") == 1


def _serial(port: int, tls: TlsConfig) -> str:
    """Return the serial number of the certificate that a new connection is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(tls.directory / "authority.pem")
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname="cloud") as secure,
    ):
        return str((secure.getpeercert() or {})["serialNumber"])
