"""Links with certificates, over real servers: who is let in, and what is said of who is not."""

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from splitnet.certificates import Authority
from splitnet.config import TlsConfig
from splitnet.emulate.ports import reserved_address
from splitnet.errors import ConfigError
from splitnet.link.client.channel import Target
from splitnet.link.tls import client_credentials, diagnose, server_credentials
from tests.certificates.site import authority, ended, machine
from tests.link.tls_peers import TIMEOUT_S, channel, client_context, listening, names
from tests.programs.processes import eventually


def refused(port: int, tls: TlsConfig, *, name: str | None = None) -> str | None:
    """See a call fail for want of a connection, and return why."""
    with pytest.raises(grpc.RpcError) as error:
        names(port, tls, name=name)
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
    return diagnose(tls, Target(("127.0.0.1", port), name), timeout_s=TIMEOUT_S)


def heard(capfd: pytest.CaptureFixture[str], text: str) -> str:
    """Return the line with `text` that gRPC writes to standard error, on a thread of its own and when it likes."""
    said: list[str] = []

    def is_there() -> bool:
        said.append(capfd.readouterr().err)
        return text in "".join(said)

    eventually(is_there)
    (line, *_) = [line for line in "".join(said).splitlines() if text in line]
    return line


def test_machines_of_a_site_know_one_another_by_name(cloud: TlsConfig, cam: TlsConfig) -> None:
    with listening(server_credentials(cloud)) as port:
        assert names(port, cam) == ["cam-1", "cam-1.hall"]
        assert names(port, cam, name="cloud") == ["cam-1", "cam-1.hall"]
        assert diagnose(cam, Target(("127.0.0.1", port)), timeout_s=TIMEOUT_S) is None


def test_who_comes_in_plaintext_is_told_that_tls_is_spoken(cloud: TlsConfig) -> None:
    with listening(server_credentials(cloud)) as port:
        target = Target(("127.0.0.1", port))
        said = diagnose(None, target, timeout_s=TIMEOUT_S)
        assert said == f"{target} speaks TLS; give this machine's certificate: --tls DIR"
    with reserved_address() as address:
        assert diagnose(None, Target(address)) is None
        with socket.create_server(address):  # which says nothing
            assert diagnose(None, Target(address), timeout_s=0.1) is None


def test_clients_that_are_not_of_the_site_are_refused(
    tmp_path: Path, hall: Authority, cloud: TlsConfig, cam: TlsConfig, capfd: pytest.CaptureFixture[str]
) -> None:
    yard = authority(tmp_path, "yard")
    foreign = machine(tmp_path, yard, "cam-2")
    trusting = foreign.directory / "authority.pem"
    trusting.write_bytes(hall.bundle + yard.bundle)
    with listening(server_credentials(cloud)) as port:
        said = refused(port, foreign)
        assert said is not None
        assert "refused the certificate of this machine (cam-2, until" in said
        # gRPC's own line on the server, which docs/certificates.md quotes.
        line = heard(capfd, "CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate")
        assert "Handshake failed" in line

        nobody = grpc.ssl_channel_credentials((cam.directory / "authority.pem").read_bytes())
        with channel(port, nobody) as link, pytest.raises(grpc.RpcError):
            link.unary_unary("/t/names")(b"", timeout=TIMEOUT_S)
        assert heard(capfd, "PEER_DID_NOT_RETURN_A_CERTIFICATE")


def test_a_clients_own_certificate_that_has_ended_is_not_shown(
    tmp_path: Path, hall: Authority, cloud: TlsConfig, capfd: pytest.CaptureFixture[str]
) -> None:
    late = machine(tmp_path, hall, "cam-2", validity=ended())
    with pytest.raises(ConfigError, match="ended on"):
        client_credentials(late)
    with listening(server_credentials(cloud)) as port:
        said = diagnose(late, Target(("127.0.0.1", port)), timeout_s=TIMEOUT_S)
        assert said is not None
        assert "certificate.pem: ended on" in said
        files = [
            (late.directory / name).read_bytes() for name in ("authority.pem", "private.key", "certificate.pem")
        ]
        with channel(port, grpc.ssl_channel_credentials(*files)) as link, pytest.raises(grpc.RpcError):
            link.unary_unary("/t/names")(b"", timeout=TIMEOUT_S)
        assert heard(capfd, "CERTIFICATE_VERIFY_FAILED: certificate has expired")


def test_servers_that_are_not_who_they_should_be_are_refused(
    tmp_path: Path, hall: Authority, cam: TlsConfig
) -> None:
    elsewhere = machine(tmp_path, hall, "edge", addresses=("10.0.0.9",))
    with listening(server_credentials(elsewhere)) as port:
        assert names(port, cam, name="edge") == ["cam-1", "cam-1.hall"]
        said = refused(port, cam)
        assert said == (
            f"the certificate of 127.0.0.1:{port} bears the names edge, 10.0.0.9, not 127.0.0.1; "
            "--tls-server-name, or `upstream_name`, says which is expected"
        )
        said = refused(port, cam, name="cloud")
        assert said is not None
        assert "not cloud" in said
    foreign = machine(tmp_path, authority(tmp_path, "yard"), "cloud-2")
    with listening(server_credentials(foreign)) as port:
        said = refused(port, cam)
        assert said == (
            f"the certificate of 127.0.0.1:{port} is signed by 'yard authority', "
            f"by no authority in {cam.directory / 'authority.pem'}"
        )


def test_a_server_whose_certificate_has_ended(tmp_path: Path, hall: Authority, cam: TlsConfig) -> None:
    late = machine(tmp_path, hall, "cloud", validity=ended())
    with pytest.raises(ConfigError, match=r"certificate.pem: ended on .* keys renew"):
        server_credentials(late)
    files = [(late.directory / name).read_bytes() for name in ("private.key", "certificate.pem")]
    trusted = (late.directory / "authority.pem").read_bytes()
    with listening(grpc.ssl_server_credentials([(files[0], files[1])], trusted, require_client_auth=True)) as port:
        said = refused(port, cam)
        assert said is not None
        assert said.startswith(f"the certificate of 127.0.0.1:{port} ended on 20")


def test_what_is_not_tls_or_not_there(cam: TlsConfig) -> None:
    with listening(None) as port:
        said = diagnose(cam, Target(("127.0.0.1", port)), timeout_s=TIMEOUT_S)
        assert said == f"127.0.0.1:{port} does not speak TLS as expected: serves plaintext"
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes connections, and never says a word
        assert diagnose(cam, Target(mute.getsockname()), timeout_s=0.1) is None
    with reserved_address() as closed:
        assert diagnose(cam, Target(closed), timeout_s=TIMEOUT_S) is None


@pytest.mark.parametrize(
    ("version", "spoken"),
    [
        (ssl.TLSVersion.TLSv1, None),
        (ssl.TLSVersion.TLSv1_1, None),
        (ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
        (ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_1_2_and_1_3_alone_are_spoken(
    cloud: TlsConfig,
    cam: TlsConfig,
    capfd: pytest.CaptureFixture[str],
    version: ssl.TLSVersion,
    spoken: str | None,
) -> None:
    context = client_context(cam)
    context.set_ciphers("ALL:@SECLEVEL=0")  # or this side would offer no old version either
    context.minimum_version = context.maximum_version = version
    with listening(server_credentials(cloud)) as port, socket.create_connection(("127.0.0.1", port)) as plain:
        plain.settimeout(TIMEOUT_S)
        if spoken is None:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(plain, server_hostname="cloud")
            assert heard(capfd, "UNSUPPORTED_PROTOCOL")
        else:
            with context.wrap_socket(plain, server_hostname="cloud") as secure:
                assert secure.version() == spoken


def test_many_may_connect_at_once(cloud: TlsConfig, cam: TlsConfig) -> None:
    """With a new configuration for each connection gRPC crashed within some hundred."""
    with listening(server_credentials(cloud)) as port, ThreadPoolExecutor(8) as devices:
        found = list(devices.map(lambda _: names(port, cam), range(160)))
    assert found == [["cam-1", "cam-1.hall"]] * 160
