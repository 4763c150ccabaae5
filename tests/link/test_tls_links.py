"""Our own link and server with certificates: what names may do, and links that outlive a certificate."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from splitnet.certificates import Authority, renew
from splitnet.config import AccessRule, TlsConfig
from splitnet.deadline import Deadline
from splitnet.errors import PermissionDeniedError, UnavailableError
from splitnet.link import TierServer, Upstreams
from splitnet.link.access import Access
from splitnet.link.client.calls import call_once
from splitnet.link.tls import client_credentials, server_credentials
from splitnet.protocol import MODEL_READY, ModelName
from tests.certificates.site import MONTH, authority, ended, machine, span
from tests.link.peers import TIMEOUT_S, Plane, ask, echo, linked, serving, value_of
from tests.link.tls_peers import channel
from tests.programs.processes import eventually

RULES = (AccessRule(names=("cam-*",), models=("m",)), AccessRule(names=("clerk",), models=("other",)))


@pytest.fixture
def server(tmp_path: Path, hall: Authority) -> Iterator[TierServer]:
    tls = machine(tmp_path, hall, "cloud")
    with serving(Plane(echo), credentials=server_credentials(tls), access=Access(RULES)) as server:
        yield server


@contextmanager
def link_of(server: TierServer, tls: TlsConfig) -> Iterator[Upstreams]:
    with linked(server.address, credentials=partial(client_credentials, tls)) as link:
        yield link


def soon() -> Deadline:
    return Deadline.after_ms(TIMEOUT_S * 1e3)


def test_a_name_may_do_what_its_rule_says(tmp_path: Path, hall: Authority, server: TierServer) -> None:
    with link_of(server, machine(tmp_path, hall, "cam-1")) as link:
        assert value_of(link.infer(ask(7.0), soon())) == 7.0
    for name in ("clerk", "visitor"):
        with link_of(server, machine(tmp_path, hall, name)) as link:
            assert link.wait_until_known(TIMEOUT_S)
            with pytest.raises(PermissionDeniedError, match=f"{name} may not call model 'm' here"):
                link.infer(ask(), soon()).result(TIMEOUT_S)


def test_no_request_of_a_stranger_arrives(tmp_path: Path, server: TierServer) -> None:
    with link_of(server, machine(tmp_path, authority(tmp_path, "yard"), "cam-1")) as link:
        assert not link.wait_until_known(TIMEOUT_S)
        with pytest.raises(UnavailableError):
            link.infer(ask(), soon()).result(TIMEOUT_S)


def test_a_renewed_certificate_is_taken_without_losing_the_link(
    tmp_path: Path, hall: Authority, server: TierServer
) -> None:
    tls = machine(tmp_path, hall, "cam-1")
    with link_of(server, tls) as link:
        assert value_of(link.infer(ask(1.0), soon())) == 1.0
        for directory in (tls.directory, tmp_path / "cloud"):
            renew(directory, hall, span(timedelta(hours=-1), MONTH))
        assert value_of(link.infer(ask(2.0), soon())) == 2.0
    with link_of(server, tls) as link:
        assert value_of(link.infer(ask(3.0), soon())) == 3.0


def test_a_link_comes_up_once_its_certificate_is_renewed(
    tmp_path: Path, hall: Authority, server: TierServer
) -> None:
    tls = machine(tmp_path, hall, "cam-1", validity=ended())
    with link_of(server, tls) as link:
        assert not link.wait_until_known(TIMEOUT_S)
        renew(tls.directory, hall, span(timedelta(hours=-1), MONTH))
        eventually(lambda: link.connected)
        assert value_of(link.infer(ask(4.0), soon())) == 4.0


def test_a_certificate_that_ends_is_refused_on_a_connection_that_stands(
    tmp_path: Path, hall: Authority, server: TierServer
) -> None:
    """As on one whose TLS session is resumed: nobody but we looks at it there again."""
    brief = machine(tmp_path, hall, "cam-9", validity=span(-timedelta(hours=1), timedelta(seconds=3)))
    with channel(server.address[1], client_credentials(brief)) as open_channel:

        def refusal() -> str:
            try:
                call_once(open_channel, MODEL_READY, ModelName("m"), timeout_s=TIMEOUT_S, wait=True)
            except PermissionDeniedError as err:
                return str(err)
            return ""

        assert refusal() == ""
        eventually(lambda: "your certificate ended on" in refusal())
